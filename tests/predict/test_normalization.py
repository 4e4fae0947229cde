"""Normalizations against many draws."""

import pytest
import torch
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


class OfLength(nn.Module):
    """A convolution whose weight is a direction times a length."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.direction = nn.Parameter(0.1 * torch.randn(32, 8, 5))
        self.length = nn.Parameter(torch.full([n if d == dim else 1 for d, n in enumerate((32, 8, 5))], 3.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv1d(x, torch._weight_norm(self.direction, self.length, self.dim))


@pytest.mark.parametrize("dim", [0, 2])
def test_weights_of_a_given_length(dim: int) -> None:
    agree(lambda: nn.Sequential(OfLength(dim), nn.ReLU(), nn.Conv1d(32, 8, 3)), random(16, 8, 40))
