"""How good a score is: areas, intervals, balanced accuracy, calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Metric = Callable[[Array, Flags], float]

REPEATS = 1000
CONFIDENCE = 0.95
BINS = 10


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def auroc(scores: Array, is_bad: Flags) -> float:
    """Chance that a bad one scores higher than a good one, ties half (Mann & Whitney 1947); NaN without both."""
    bad = int(is_bad.sum())
    good = len(is_bad) - bad
    if not bad or not good:
        return float("nan")
    return float((rankdata(scores)[is_bad].sum() - bad * (bad + 1) / 2) / (bad * good))


def balanced_accuracy(fires: Array, is_bad: Flags) -> float:
    """Mean of the shares of bad ones that fire (above zero) and of good ones that do not."""
    if not is_bad.any() or is_bad.all():
        return float("nan")
    return float(((fires[is_bad] > 0).mean() + (fires[~is_bad] <= 0).mean()) / 2)


def calibration_error(risks: Array, is_bad: Flags) -> float:
    """Expected calibration error: mean over equal bins of |share that is bad - mean risk|, by their sizes."""
    return sum(abs(share - risk) * weight for risk, share, weight in reliability(risks, is_bad))


def reliability(risks: Array, is_bad: Flags) -> list[tuple[float, float, float]]:
    """(mean risk, share that is bad, share of all) of every bin that is not empty."""
    place = np.clip((risks * BINS).astype(int), 0, BINS - 1)
    return [
        (float(risks[place == b].mean()), float(is_bad[place == b].mean()), float((place == b).mean()))
        for b in range(BINS)
        if (place == b).any()
    ]


def interval(metric: Metric, scores: Array, is_bad: Flags, *, seed: int = 0) -> Interval:
    """Percentile bootstrap over samples (Efron 1979)."""
    values = [v for v in _resampled(metric, scores, is_bad, seed) if not np.isnan(v)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail]) if values else (np.nan, np.nan)
    return Interval(metric(scores, is_bad), float(low), float(high))


def advantage(metric: Metric, ours: Array, theirs: Array, is_bad: Flags, *, seed: int = 0) -> Interval:
    """Our metric minus theirs on the same resamples: above zero throughout, the difference is not chance."""
    pairs = zip(_resampled(metric, ours, is_bad, seed), _resampled(metric, theirs, is_bad, seed), strict=True)
    values = [a - b for a, b in pairs if not np.isnan(a - b)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail]) if values else (np.nan, np.nan)
    return Interval(metric(ours, is_bad) - metric(theirs, is_bad), float(low), float(high))


def _resampled(metric: Metric, scores: Array, is_bad: Flags, seed: int) -> list[float]:
    generator = np.random.default_rng(seed)
    rows = generator.integers(len(scores), size=(REPEATS, len(scores)))
    return [metric(scores[row], is_bad[row]) for row in rows]


def roc(scores: Array, is_bad: Flags) -> list[tuple[float, float]]:
    """(share of good ones that fire, share of bad ones that fire) from no alarm to all, one point a threshold."""
    points = [(0.0, 0.0)]
    for threshold in np.unique(scores)[::-1]:
        fires = scores >= threshold
        points.append((float(fires[~is_bad].mean()), float(fires[is_bad].mean())))
    return points
