"""Convolutions against many draws."""

from torch import nn

from tests.predict.checks import agree
from tests.subjects import random


def test_padding_loses_energy_at_the_border() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.Conv2d(32, 16, 3, padding=1)), random(8, 8, 8, 8))


def test_stride_and_groups() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, groups=4), nn.Conv2d(32, 8, 1)), random(8, 16, 9, 9))


def test_one_dimension() -> None:
    agree(lambda: nn.Sequential(nn.Conv1d(16, 32, 5, padding=2)), random(8, 16, 20))
