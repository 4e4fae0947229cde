"""Equal units against a loop over all pairs of units."""

import torch
from torch import nn

from gradscope.measure._quantity import Observation
from gradscope.measure.duplicate_fraction import duplicate_fraction
from tests.subjects import random


def slow(x: torch.Tensor) -> float:
    units = list(x.double().T)
    twins = [any(torch.allclose(u, v) and u.any() for v in units[:i]) for i, u in enumerate(units)]
    return sum(twins) / (len(units) - 1)


def measured(op: str, x: torch.Tensor) -> float:
    value = duplicate_fraction(Observation(op, x, batch=len(x)))
    assert value is not None
    return value.item()


def test_it_is_the_share_that_a_loop_finds() -> None:
    x = random(12, 9)
    x[:, 4], x[:, 7], x[:, 8] = x[:, 1], x[:, 1], x[:, 0]

    assert measured("Linear", x) == slow(x) == 3 / 8


def test_constant_weights_make_all_units_equal_and_drawn_ones_none() -> None:
    constant, drawn = nn.Linear(5, 6), nn.Linear(5, 6)
    nn.init.constant_(constant.weight, 0.1)
    nn.init.zeros_(constant.bias)

    assert measured("Linear", constant(random(8, 5)).detach()) == 1
    assert measured("Linear", drawn(random(8, 5)).detach()) == 0


def test_the_channels_of_a_convolution_are_its_units() -> None:
    x = random(4, 3, 5, 5)
    x[:, 2] = x[:, 0]

    assert measured("Conv2d", x) == 1 / 2


def test_a_branch_that_starts_at_zero_has_no_twins() -> None:
    assert measured("Linear", torch.zeros(6, 4)) == 0


def test_not_applicable_to_layers_without_weights_or_with_one_unit() -> None:
    assert duplicate_fraction(Observation("ReLU", random(4, 4), batch=4)) is None
    assert duplicate_fraction(Observation("Linear", random(4, 1), batch=4)) is None
