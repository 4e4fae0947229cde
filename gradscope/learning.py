"""What a handful of training steps taught: how surely, how much, and whether it went astray.

A model that has learned anything of its data has a lower loss with the right targets than with those of other samples.
The difference needs no reference value: it is zero on average for every output that does not depend on the input,
whatever the loss, and free, since only the loss is computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from gradscope.schema import Attempt

LEARNED, CERTAIN = 0.05, 5.0
"""Share of the loss that depends on the right targets, and its standard errors, from which learning is plain."""

_WORSE = 2.0  # times the first loss: such a learning rate is too high
_ROUNDING = 1e-7  # relative: differences of losses in float32 below it are noise
_COARSE = 0.02  # an error rate of a few samples is no finer
_LEAST = 4  # steps that a slope and its error need
_LENIENCE = 3.0  # standard errors: error rates move later than losses


def has_diverged(attempt: Attempt) -> bool:
    """Whether the loss stopped being finite, or its last quarter is far above where it began."""
    last = attempt.losses[-max(1, attempt.asked // 4) :]
    if len(attempt.losses) < attempt.asked or not all(map(math.isfinite, last)):
        return True
    first = fmean(attempt.losses[:2])
    return fmean(last) - first > (_WORSE - 1) * abs(first)


def has_learned(attempt: Attempt) -> bool:
    """Whether the loss of the second half plainly depends on whose targets it is given."""
    return bool(attempt.mismatched) and fmean(gaps(attempt)) > LEARNED and evidence(attempt) > CERTAIN


def evidence(attempt: Attempt) -> float:
    """Standard errors by which the loss, and almost as clearly the error, depends on whose targets they are given."""
    of_loss = _certainty(gaps(attempt), _ROUNDING)
    return min(of_loss, _certainty(skills(attempt), _COARSE) + _LENIENCE) if attempt.errors else of_loss


def growth(attempt: Attempt) -> float:
    """Standard errors by which the gap grows: the slope of a straight line through the gaps of all steps."""
    every = _gaps(attempt)
    if len(every) < _LEAST:
        return 0.0
    middle, mean = (len(every) - 1) / 2, fmean(every)
    spread = sum((step - middle) ** 2 for step in range(len(every)))
    slope = sum((step - middle) * gap for step, gap in enumerate(every)) / spread
    rest = sum((gap - mean - slope * (step - middle)) ** 2 for step, gap in enumerate(every)) / (len(every) - 2)
    return slope / (math.sqrt(rest / spread) + _ROUNDING / len(every))


def gaps(attempt: Attempt) -> list[float]:
    """(mismatched - loss) / (|mismatched| + |loss|) at each step of the second half; 0 from where it diverged."""
    return _gaps(attempt)[attempt.asked // 2 :]


def skills(attempt: Attempt) -> list[float]:
    """(mismatched error - error) / mismatched error at each step of the second half; 0 from where it diverged."""
    shares = _shares(attempt, attempt.errors, attempt.mismatched_errors, lambda own, other: other)
    return shares[attempt.asked // 2 :]


def _gaps(attempt: Attempt) -> list[float]:
    return _shares(attempt, attempt.losses, attempt.mismatched, lambda own, other: abs(own) + abs(other))


def _shares(
    attempt: Attempt, own: Sequence[float], others: Sequence[float], size: Callable[[float, float], float]
) -> list[float]:
    def share(mine: float, other: float) -> float:
        whole = size(mine, other)
        return (other - mine) / whole if math.isfinite(whole) and whole > 0 else 0.0

    shares = [share(*pair) for pair in zip(own, others, strict=True)]
    return [*shares, *[0.0] * (attempt.asked - len(shares))]


def _certainty(values: Sequence[float], floor: float) -> float:
    """Mean over its standard error, which is never less than `floor`; 0 of fewer than two values."""
    return fmean(values) / (stdev(values) / math.sqrt(len(values)) + floor) if len(values) > 1 else 0.0
