"""The effective number of dimensions against singular values."""

import pytest
import torch

from gradscope.measure._quantity import Observation
from gradscope.measure.sample_rank import sample_rank
from tests.subjects import random


def measured(x: torch.Tensor) -> float:
    value = sample_rank(Observation("Linear", x, batch=len(x)))
    assert value is not None
    return value.item()


def slow(x: torch.Tensor) -> float:
    rows = x.double().flatten(1)
    powers = torch.linalg.svdvals(rows - rows.mean(0)).square()
    return ((powers.sum() ** 2 / powers.square().sum() - 1) / (min(len(rows) - 1, rows.shape[1]) - 1)).item()


@pytest.mark.parametrize("shape", [(4, 9), (16, 5), (8, 2, 5)])
def test_it_equals_the_participation_ratio_of_the_singular_values(shape: tuple[int, ...]) -> None:
    x = random(*shape) + 3

    assert measured(x) == pytest.approx(slow(x), rel=1e-6)


def test_one_direction_is_zero_and_all_directions_are_one() -> None:
    line = torch.arange(9.0)[:, None] * random(1, 20)
    simplex = torch.eye(9)

    assert measured(line) == pytest.approx(0, abs=1e-6)
    assert measured(simplex) == pytest.approx(1)


def test_equal_samples_differ_in_no_direction() -> None:
    assert measured(torch.ones(6, 5)) == 0


def test_not_applicable_without_samples_to_compare() -> None:
    assert sample_rank(Observation("Linear", random(3, 5), batch=3)) is None
    assert sample_rank(Observation("Linear", random(8, 5), batch=0)) is None
    assert sample_rank(Observation("Linear", random(8, 2), batch=8)) is None
