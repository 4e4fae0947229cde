"""Fit the verdict's model: an additive logistic regression that is monotone in every feature, calibrated on families
that its coefficients have not seen.

Each feature enters through a few ramps, `clip((x - start) / (end - start), 0, 1)`, with weights that are never
negative: more of what is bad can not lower a risk. Where a feature is unknown its ramps take their mean over the
corpus. The coefficients minimise the log-loss plus `PENALTY` on the weights. The slope and the offset that turn a
sum into a frequency (Platt 1999) are those of predictions for families that were left out. In all of it every family
counts the same, however many of its configurations were declared: a model that is asked about comes from none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Array = NDArray[np.float64]

KNOTS: dict[str, tuple[float, ...]] = {
    "vanishing": (1.0, 3.0, 6.0, 8.0),
    "exploding": (0.5, 2.0, 5.0),
    "initial_loss": (0.2, 1.0, 4.0),
    "indifference": (1.0, 3.0, 6.0, 8.0),
    "collapse": (2.0, 5.0, 8.0),
    "flatness": (1.0, 2.0, 5.0),
    "noise": (0.5, 0.85, 1.0),
    "leak": (0.6, 0.9, 1.0),
    "twins": (0.2, 1.0),
    "dead": (0.4, 0.8, 1.0),
    "saturated": (0.4, 1.0),
    "forgetting": (2.0, 5.0, 8.0),
    "slow_with_sgd": (0.0, 3.0, 8.0),
    "rash_with_sgd": (0.0, 2.0),
    "slow_with_adam": (0.0, 1.0, 4.0),
    "unscaled_input": (0.5, 2.0, 5.0),
    "evadable": (0.5, 0.9, 1.0),
    "unreachable": (0.1, 0.4, 1.0),
    "unproven": (0.0, 3.0, 5.0, 6.5, 8.0),
    "unmoving": (0.0, 3.0, 6.0, 8.0),
    "unskilled": (0.4, 0.7, 0.9, 1.0),
}
"""Where the ramps of a feature begin and end, in its own unit."""

PRIOR: dict[tuple[str, float], float] = {
    ("evadable", 1.0): 3.0,
    ("unreachable", 0.4): 3.0,
    ("noise", 1.0): 1.5,
    ("leak", 1.0): 3.0,
    ("flatness", 5.0): 1.0,
    ("twins", 1.0): 1.0,
    ("dead", 1.0): 1.0,
    ("indifference", 8.0): 1.0,
    ("vanishing", 8.0): 1.0,
    ("unproven", 8.0): 1.0,
}
"""Weights, by (feature, end of its ramp), that hold without data; all others are zero.

Where a loss does not ask for the targets, answers go to other samples, all units of a layer are one or all are dead,
no data are needed to know what comes; a family may show none of it.
"""

PENALTY = 0.01
"""Cost of the sum of squared differences from the prior, in log-loss of a sample."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """One piece of a feature's curve."""

    feature: str
    start: float
    end: float

    def __call__(self, values: Array) -> Array:
        return np.clip((values - self.start) / (self.end - self.start), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Additive:
    """logit = slope * (intercept + sum of weight * ramp) + offset."""

    ramps: tuple[Ramp, ...]
    weights: Array
    means: Array
    intercept: float
    slope: float = 1.0
    offset: float = 0.0

    def logits(self, columns: dict[str, Array]) -> Array:
        """Of many samples; NaN in a column means unknown."""
        pieces = _pieces(self.ramps, columns, self.means)
        return self.slope * (self.intercept + pieces @ self.weights) + self.offset


def _pieces(ramps: Sequence[Ramp], columns: dict[str, Array], means: Array | None = None) -> Array:
    raw = np.stack([ramp(columns[ramp.feature]) for ramp in ramps], axis=1)
    means = np.nan_to_num(np.nanmean(raw, axis=0)) if means is None else means
    return np.where(np.isnan(raw), means, raw)


def even(families: NDArray[np.str_]) -> Array:
    """Weights of samples that sum to one, and to the same for every family."""
    names, place, sizes = np.unique(families, return_inverse=True, return_counts=True)
    return 1 / (len(names) * sizes[place])


def fit(columns: dict[str, Array], is_bad: Array, weights: Array, *, penalty: float = PENALTY) -> Additive:
    """Coefficients of one head, not yet calibrated; the weights of the samples sum to one."""
    known = [name for name in KNOTS if name in columns and not np.isnan(columns[name]).all()]
    ramps = tuple(Ramp(name, *pair) for name in known for pair in zip(KNOTS[name], KNOTS[name][1:], strict=False))
    raw = np.stack([ramp(columns[ramp.feature]) for ramp in ramps], axis=1)
    means = np.nan_to_num(np.nanmean(raw, axis=0))
    x, sign = np.where(np.isnan(raw), means, raw), 2 * is_bad - 1
    prior = np.array([PRIOR.get((ramp.feature, ramp.end), 0.0) for ramp in ramps])

    def objective(theta: Array) -> tuple[float, Array]:
        margin = sign * (theta[0] + x @ theta[1:])
        pull = -sign * expit(-margin) * weights
        value = weights @ np.logaddexp(0, -margin) + penalty * np.square(theta[1:] - prior).sum()
        return value, np.concatenate([[pull.sum()], pull @ x + 2 * penalty * (theta[1:] - prior)])

    bounds = [(None, None), *[(0.0, None)] * len(ramps)]
    found = minimize(objective, np.zeros(len(ramps) + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return Additive(ramps, found.x[1:], means, float(found.x[0]))


def left_out(columns: dict[str, Array], is_bad: Array, families: NDArray[np.str_]) -> Array:
    """For every sample the logit of a model that has not seen its family."""
    logits = np.zeros(len(is_bad))
    for family in sorted(set(families)):
        inside = families == family
        others = {name: values[~inside] for name, values in columns.items()}
        model = fit(others, is_bad[~inside], even(families[~inside]))
        logits[inside] = model.logits({name: values[inside] for name, values in columns.items()})
    return logits


def platt(logits: Array, is_bad: Array, weights: Array) -> tuple[float, float]:
    """Slope and offset that make these logits log-odds; the targets are Platt's, which keep them finite."""
    bad, good = is_bad.sum(), (1 - is_bad).sum()
    target = np.where(is_bad == 1, (bad + 1) / (bad + 2), 1 / (good + 2))

    def loss(theta: Array) -> float:
        z = theta[0] * logits + theta[1]
        return float(weights @ (np.logaddexp(0, z) - target * z))

    found = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(0.05, None), (None, None)])
    return float(found.x[0]), float(found.x[1])


def calibrated(columns: dict[str, Array], is_bad: Array, families: NDArray[np.str_]) -> Additive:
    """Coefficients from all samples, slope and offset from families left out."""
    weights = even(families)
    model = fit(columns, is_bad, weights)
    slope, offset = platt(left_out(columns, is_bad, families), is_bad, weights)
    return Additive(model.ramps, model.weights, model.means, model.intercept, slope, offset)
