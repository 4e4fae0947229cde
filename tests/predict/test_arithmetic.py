"""Sums and products of tensors against many draws."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.predict.checks import Between, agree
from tests.subjects import random


def test_a_scaled_and_shifted_tensor() -> None:
    agree(lambda: Between(lambda h: 3 * h - 1), random(32, 64))


def test_a_residual_sum_adds_second_moments() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch, self.show = nn.Linear(64, 64), nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.show(x + self.branch(x))

    agree(Residual, random(64, 64))


@pytest.mark.parametrize(
    "function",
    [lambda h: h + h, lambda h: h * h, lambda h: h - 0.5 * h, lambda h: h / 2 + torch.relu(h)],
    ids=["h + h", "h * h", "h - h/2", "h/2 + relu(h)"],
)
def test_a_tensor_is_not_independent_of_itself(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    agree(lambda: Between(function), random(32, 64))


def test_a_gate_between_two_tensors() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.old, self.new, self.gate = (nn.Linear(64, 64) for _ in range(3))
            self.show = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            old, new = self.old(x), torch.tanh(self.new(x))
            return self.show(new + torch.sigmoid(self.gate(x)) * (old - new))

    agree(Gated, random(64, 64))
