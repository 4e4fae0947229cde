"""Hand-made attempts: a loss that falls, one that stays, one that runs away."""

from __future__ import annotations

import math

from gradscope.schema import Attempt

STEPS = 20


def learning(*, is_real: bool = True, optimizer: str = "adam") -> Attempt:
    """The loss falls to a third, and other samples' targets cost three times as much."""
    losses = tuple(2.3 - 0.08 * i + 0.01 * (i % 2) for i in range(STEPS))
    mismatched = tuple(2.3 + 0.1 * i for i in range(STEPS))
    errors = tuple(0.9 - 0.03 * i + 0.01 * (i % 2) for i in range(STEPS))
    return Attempt(optimizer, 4e-3, STEPS, losses, mismatched, errors, (0.9,) * STEPS, is_real)


def stalled(*, is_real: bool = True) -> Attempt:
    """The loss stays where it was, and it does not matter whose targets it is given."""
    losses = tuple(2.3 + 0.01 * (-1) ** i for i in range(STEPS))
    mismatched = tuple(2.3 + 0.01 * (-1) ** (i // 2) for i in range(STEPS))
    return Attempt("adam", 4e-3, STEPS, losses, mismatched, (0.9,) * STEPS, (0.9,) * STEPS, is_real)


def diverging(*, is_real: bool = True) -> Attempt:
    """The loss is no longer finite after five steps."""
    losses = (2.3, 10.0, 1e3, 1e9, math.inf)
    return Attempt("sgd", 5e-2, STEPS, losses, losses, (0.9,) * 5, (0.9,) * 5, is_real)


def misled(*, is_real: bool = True) -> Attempt:
    """The loss falls and prefers its own targets, but no answer becomes right: the loss asks for something else."""
    good = learning(is_real=is_real)
    return Attempt("adam", 4e-3, STEPS, good.losses, good.mismatched, (0.9,) * STEPS, (0.9,) * STEPS, is_real)
