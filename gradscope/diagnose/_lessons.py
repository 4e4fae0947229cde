"""What trial steps say, as features: each zero where they taught much and surely, and larger the less they did."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from gradscope.learning import evidence, growth, skills
from gradscope.schema import Attempt, Profile

MOST = 8.0
"""Where a feature is cut off; most are decades."""


def unproven(profile: Profile) -> float | None:
    """How far from certain it is that trial steps taught something: `MOST` less the standard errors it is certain by.

    What is certain is that the loss is lower with the right targets than with other samples', and that the error is.
    """
    return _best(profile, lambda attempt: MOST - min(MOST, max(0.0, evidence(attempt))))


def unmoving(profile: Profile) -> float | None:
    """How far from certain it is that what was learned grows: `MOST` less the standard errors it is certain by."""
    return _best(profile, lambda attempt: MOST - min(MOST, max(0.0, growth(attempt))))


def unskilled(profile: Profile) -> float | None:
    """1 - the best share of the error that depends on whose targets it is given; None for an unusual output."""
    return _best(profile, lambda attempt: 1 - max(0.0, fmean(skills(attempt))) if attempt.errors else None)


def _best(profile: Profile, of: Callable[[Attempt], float | None]) -> float | None:
    found = [value for attempt in profile.attempts if attempt.mismatched and (value := of(attempt)) is not None]
    return min(found) if found else None
