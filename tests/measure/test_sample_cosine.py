"""Cosines against a loop over all pairs."""

import pytest
import torch

from gradscope.measure._quantity import Observation
from gradscope.measure.sample_cosine import mean_pairwise_cosine, sample_cosine
from tests.subjects import random


def slow(rows: torch.Tensor) -> float:
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    return sum(torch.cosine_similarity(rows[i], rows[j], dim=0).item() for i, j in pairs) / len(pairs)


@pytest.mark.parametrize("shape", [(2, 5), (7, 3), (16, 100)])
def test_mean_pairwise_cosine_equals_the_loop(shape: tuple[int, int]) -> None:
    rows = random(*shape).double() + 0.3

    assert mean_pairwise_cosine(rows).item() == pytest.approx(slow(rows), abs=1e-9)


def test_equal_samples_have_cosine_one_and_orthogonal_ones_zero() -> None:
    assert mean_pairwise_cosine(torch.ones(4, 9)).item() == pytest.approx(1)
    assert mean_pairwise_cosine(torch.eye(4)).item() == pytest.approx(0, abs=1e-6)


def test_a_sample_of_zeros_agrees_with_nobody() -> None:
    rows = torch.stack([torch.zeros(3), torch.ones(3), torch.ones(3)])

    assert mean_pairwise_cosine(rows).item() == pytest.approx(2 / 6)


def test_not_applicable_without_a_batch() -> None:
    assert sample_cosine(Observation("Linear", random(8, 4), batch=0)) is None
    assert sample_cosine(Observation("Linear", random(8, 4), batch=2)) is None
    assert sample_cosine(Observation("Linear", random(8), batch=8)) is None
