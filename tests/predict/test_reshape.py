"""Rearrangements against many draws."""

from torch import nn

from tests.predict.checks import Between, agree
from tests.subjects import random


def test_views_keep_the_moments() -> None:
    agree(lambda: Between(lambda h: h.view(16, 8, 4, 16).transpose(1, 2).reshape(16, 4, 128)), random(16, 8, 64))


def test_a_flattened_map_feeds_a_linear_layer() -> None:
    agree(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 64)), random(16, 3, 8, 8)
    )
