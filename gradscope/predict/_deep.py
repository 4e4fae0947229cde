"""Predicting a model with very many equal blocks from shallow versions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradscope.predict._continuation import NotPeriodic
from gradscope.predict._extrapolate import extrapolated
from gradscope.predict._loss import Loss
from gradscope.predict._plan import Plan
from gradscope.predict._repetition import Repetition, repetition, shortened
from gradscope.predict._run import Forward, forward, profile
from gradscope.schema import Profile

SHARES = (0.25, 0.375, 0.5)  # of the most blocks, in the three shallow models: together little more than the most


@dataclass(frozen=True)
class Deep:
    """A model with more equal blocks than are to be run.

    Attributes:
        plan: the whole model.
        blocks: its run of blocks.
        counts: blocks of the three shallow models.
    """

    plan: Plan
    blocks: Repetition
    counts: tuple[int, ...]

    def forward(self, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> Forward:
        """The deepest of the shallow models, run on tables.

        Raises:
            Whatever the model raises without its other blocks.
        """
        return forward(shortened(self.plan, self.blocks, self.counts[-1]), args, kwargs)

    def profile(
        self, run: Forward, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None, *, loss: Loss = "unit"
    ) -> Profile:
        """The profile of the whole model, from `forward` and two shallower runs.

        Raises:
            NotPeriodic: the blocks do not follow a law.
        """
        deepest = profile(run, loss=loss)  # first: the runs share their parameters
        shallow = [shortened(self.plan, self.blocks, count) for count in self.counts[:-1]]
        profiles = [profile(forward(plan, args, kwargs), loss=loss) for plan in shallow]
        return extrapolated([*profiles, deepest], self.counts, self.blocks)


def deep(plan: Plan, most: int) -> Deep | None:
    """The model as one that is too deep to be run whole; None if it has at most so many equal blocks."""
    found = repetition(plan)
    if found is None or found.blocks <= most:
        return None
    return Deep(plan, found, tuple(round(share * most) for share in SHARES))


class Sketch:
    """A prediction that runs a model whole, or a part of its equal blocks where they are too many.

    A model that does not run without its other blocks, or whose blocks follow no law, is run whole.

    Args:
        plan: the model.
        most: equal blocks that are run.
    """

    def __init__(self, plan: Plan, most: int) -> None:
        self._plan = plan
        self._deep = deep(plan, most)
        self._given: tuple[tuple[Any, ...], Mapping[str, Any]] = ((), {})

    def forward(self, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Forward:
        """As `predict.forward`.

        Raises:
            Whatever the whole model raises.
        """
        self._given = args, kwargs or {}
        if self._deep is not None:
            try:
                return self._deep.forward(*self._given)
            except Exception:  # the user's code may count its blocks; if the inputs are wrong the whole says so
                return forward(self._plan, *self._given)
        return forward(self._plan, *self._given)

    def profile(self, run: Forward, *, loss: Loss = "unit") -> Profile:
        """The profile of the whole model, from the last run of `forward`."""
        if self._deep is None or run.plan is self._plan:
            return profile(run, loss=loss)
        try:
            return self._deep.profile(run, *self._given, loss=loss)
        except NotPeriodic:
            return profile(forward(self._plan, *self._given), loss=loss)
