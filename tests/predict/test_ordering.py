"""The largest entries along a dimension against many draws."""

import torch

from tests.predict.checks import Between, agree
from tests.subjects import random


def test_the_largest_and_the_smallest_of_a_row() -> None:
    agree(lambda: Between(lambda h: h.amax(1)), random(64, 64))
    agree(lambda: Between(lambda h: torch.relu(h).view(-1, 8, 8).max(2).values), random(64, 64))
    agree(lambda: Between(lambda h: h.min(1).values), random(64, 64))


def test_the_largest_few() -> None:
    agree(lambda: Between(lambda h: h.topk(4, 1).values), random(64, 64))


def test_what_a_router_picks() -> None:
    def routed(h: torch.Tensor) -> torch.Tensor:
        scores = torch.sigmoid(h)
        return scores.gather(1, scores.topk(4, 1).indices)

    agree(lambda: Between(routed), random(64, 64))
