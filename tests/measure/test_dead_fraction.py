"""Dead units of rectifiers, counted one by one."""

import pytest
import torch

from gradscope.measure._quantity import Observation
from gradscope.measure.dead_fraction import dead_fraction
from tests.subjects import random


def test_channels_of_a_map_are_the_units() -> None:
    x = random(8, 4, 5, 5).relu()
    x[:, 1] = 0
    found = dead_fraction(Observation("ReLU", x, batch=8))

    assert found is not None
    assert found.item() == 0.25


def test_features_of_a_sequence_are_the_units() -> None:
    x = random(4, 16, 8).relu()
    x[..., :2] = 0
    found = dead_fraction(Observation("relu", x, batch=4))

    assert found is not None
    assert found.item() == 0.25


def test_a_unit_that_fires_once_is_alive() -> None:
    x = torch.zeros(32, 2)
    x[31, 0] = 1e-3

    assert dead_fraction(Observation("ReLU", x, batch=32)) == pytest.approx(0.5)


def test_too_few_observations_cannot_tell() -> None:
    assert dead_fraction(Observation("ReLU", random(4, 8).relu(), batch=4)) is None


def test_only_rectifiers_can_die() -> None:
    assert dead_fraction(Observation("GELU", torch.zeros(64, 4), batch=64)) is None
