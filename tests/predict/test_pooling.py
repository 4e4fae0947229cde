"""Pooling against many draws."""

from torch import nn

from tests.predict.checks import agree
from tests.subjects import random


def test_an_average_over_a_map() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)), random(8, 4, 10, 10))


def test_average_windows() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.AvgPool2d(2)), random(8, 4, 10, 10))
