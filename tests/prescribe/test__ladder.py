"""The ladder finds the edge of stability where it is known: 2 / curvature."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gradscope.prescribe._ladder import STEPS, climb, is_stable


def descent(curvature: float) -> Callable[[float], list[float]]:
    """Losses of gradient descent on curvature x^2 / 2 from x = 1."""
    return lambda rate: [0.5 * curvature * (1 - rate * curvature) ** (2 * step) for step in range(STEPS)]


@pytest.mark.parametrize("curvature", [1e-3, 0.3, 1.0, 50.0, 1e5])
@pytest.mark.parametrize("start", [2.0**-10, 1.0])
def test_the_edge_is_within_a_factor_of_two(curvature: float, start: float) -> None:
    found = climb(descent(curvature), [0.5 * curvature] * 8, start)
    edge = min(2 / curvature, 2.0**9)  # the ladder ends there
    assert found.edge is not None
    assert edge / 2 <= found.edge <= edge, (found, edge)


@pytest.mark.parametrize("curvature", [0.3, 1.0, 50.0])
def test_the_recommendation_keeps_a_margin_and_learns(curvature: float) -> None:
    found = climb(descent(curvature), [0.5 * curvature] * 8, 2.0**-10)
    assert found.recommended is not None
    assert found.edge is not None
    assert found.recommended <= found.edge / 4
    assert descent(curvature)(found.recommended)[-1] < 0.5 * curvature * 0.01


def test_a_model_that_breaks_at_every_rate_gets_none() -> None:
    found = climb(lambda rate: [1.0, math.inf], [1.0] * 8, 1.0)
    assert (found.recommended, found.edge, found.losses) == (None, None, {})


def test_a_plateau_is_stable_and_a_jump_is_not() -> None:
    base = [2.3, 2.31, 2.29, 2.3, 2.28, 2.32, 2.3, 2.3]
    assert is_stable([2.3] * STEPS, base)
    assert not is_stable([2.3] * 10 + [9.0] + [2.0] * 13, base)
    assert not is_stable([2.3] * 18 + [2.6] * 6, base)
    assert not is_stable([2.3] * 23 + [math.inf], base)
