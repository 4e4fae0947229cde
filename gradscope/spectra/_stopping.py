"""When a Golub-Kahan run may end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradscope.spectra._bidiagonal import Bidiagonal

_COARSE = 5e-3  # tolerances from here on may be reached by extrapolation
_MARGIN = 1.5  # times the step of an extrapolation that is still plausible
_HIDDEN = 0.2  # share of the way from the Ritz value to the upper bound: larger values are seldom hidden so far up
_MISSED = 0.1  # chance that the start vector misses a larger value, where extrapolation sees none either
_SELDOM = 0.01  # the same chance where that alone is enough


@dataclass(frozen=True, slots=True)
class Goal:
    """When to stop.

    Attributes:
        tolerance: relative error that is allowed.
        probability: chance that the upper bound fails.
        is_certified: go on until high / low - 1 <= tolerance, instead of until the estimate has settled.
        first: first step at which agreeing extrapolations may end the run; `stride`: steps between two looks after it.
        early: first step at which bounds may end it, which cost as much as a small matrix is multiplied in.
        limit: most steps.
    """

    tolerance: float
    probability: float
    is_certified: bool = False
    first: int = 10
    stride: int = 2
    limit: int = 300
    early: int = 300

    @property
    def is_coarse(self) -> bool:
        """Whether extrapolation alone may reach the tolerance."""
        return self.tolerance >= _COARSE


def fixed(steps: int, probability: float = 1.0) -> Goal:
    """A goal of exactly so many steps (fewer when the space is exhausted), whatever the error."""
    return Goal(0.0, probability, True, first=steps, stride=1, limit=steps)


class Settled:
    """The stop rule: bounds that meet, or extrapolations that agree with each other and with the last look.

    On hard operators that were never looked at when the shares of the tolerance below were chosen, fewer than one
    value in a hundred misses the tolerance (reports/benchmarks/spectra_accuracy.md).
    """

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.edge = math.inf  # of the last look

    def __call__(self, run: Bidiagonal) -> bool:
        goal, k = self.goal, len(run)
        if k == goal.first - goal.stride and not goal.is_certified:
            self.edge = run.band_edge(k // 2)
        is_look = k >= goal.first and (k - goal.first) % goal.stride == 0
        if not is_look and not goal.early <= k < goal.first:
            return False
        low, tolerance = run.low(), goal.tolerance
        if goal.is_certified:
            is_certain = run.is_below(low * (1 + tolerance), goal.probability)
            return is_certain and run.high(goal.probability) <= low * (1 + tolerance)
        if is_unlikely_above(low * (1 + tolerance / 2), run, goal):
            return True
        if run.is_below(low * (1 + tolerance), goal.probability):
            return True
        if not is_look:
            return False
        previous, self.edge = self.edge, run.band_edge(k // 2)
        other = run.band_edge(k - 2)
        spread = max(abs(self.edge - other), abs(self.edge - previous)) / other
        if goal.is_coarse:
            return spread <= 0.3 * tolerance
        is_close = max(self.edge, other) <= low * (1 + 1.5 * tolerance)
        return is_close and spread <= 0.6 * tolerance and run.is_below(low * (1 + 12 * tolerance), goal.probability)


def is_unlikely_above(value: float, run: Bidiagonal, goal: Goal) -> bool:
    """Whether the largest singular value is hardly above `value`: neither by extrapolation nor hidden.

    A run may hide a value behind a converged one that lies close to it: nearly always by less than a share of the way
    to the upper bound, and not past `value` unless the start vector was unlucky.
    """
    low, k = run.low(), len(run)
    far = low + (value - low) / _HIDDEN
    if value < low or not run.is_below(far, _MISSED):  # nor is anything that is asked below
        return False
    if run.is_below(value, _SELDOM):
        return True
    is_near = run.is_below(far, goal.probability)
    if not is_near and not (goal.is_coarse and run.is_below(value, _MISSED)):
        return False
    return min(run.band_edge(k // 2), run.band_edge(k - 2)) <= low + (value - low) / _MARGIN
