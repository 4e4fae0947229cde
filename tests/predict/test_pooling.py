"""Pooling against many draws."""

import pytest
from torch import nn

from tests.predict.checks import agree
from tests.subjects import random


def test_an_average_over_a_map() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)), random(8, 4, 10, 10))


def test_average_windows() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.AvgPool2d(2)), random(8, 4, 10, 10))


@pytest.mark.parametrize("activation", [nn.Identity, nn.ReLU, nn.GELU])
def test_maxima_of_an_activation(activation: type[nn.Module]) -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), activation(), nn.MaxPool2d(2)), random(8, 4, 10, 10))


def test_maxima_at_a_padded_border() -> None:
    agree(
        lambda: nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(16, 16, 3)),
        random(8, 4, 16, 16),
    )


def test_maxima_of_maxima() -> None:
    def stage(channels: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]

    agree(lambda: nn.Sequential(*stage(4), *stage(32)), random(8, 4, 16, 16))
