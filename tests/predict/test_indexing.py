"""Slices and concatenations against many draws."""

import torch

from tests.predict.checks import Between, agree
from tests.subjects import random


def test_a_slice_keeps_its_moments() -> None:
    agree(lambda: Between(lambda h: h[:, :10]), random(32, 64))


def test_a_concatenation_mixes_them() -> None:
    agree(lambda: Between(lambda h: torch.cat([h, 3 * h], 1)), random(32, 64))


def test_halves_of_a_split() -> None:
    agree(lambda: Between(lambda h: h.chunk(2, -1)[1]), random(32, 64))


def test_rows_under_a_mask_are_replaced() -> None:
    def masked(h: torch.Tensor) -> torch.Tensor:
        mask = (torch.arange(32) % 3 == 0).to(h.device)
        h = h.clone()
        h[mask] = 3.0 * torch.ones(64, device=h.device)
        return h

    agree(lambda: Between(masked), random(32, 64))
