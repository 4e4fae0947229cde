"""Normalizations against many draws."""

from torch import nn

from tests.predict.checks import agree
from tests.subjects import random


def test_layer_norm_gives_unit_second_moment() -> None:
    agree(lambda: nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)), 5 * random(32, 64))


def test_batch_norm_gives_unit_second_moment() -> None:
    agree(lambda: nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()), random(64, 64))


def test_group_norm_of_maps() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.GroupNorm(4, 16), nn.ReLU()), random(8, 4, 10, 10))


def test_a_layer_behind_a_batch_norm_and_a_rectifier() -> None:
    agree(lambda: nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64)), random(64, 64))
