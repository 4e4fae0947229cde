"""How the singular values of an operator are spread on a logarithmic scale: how far it is from an isometry."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from gradscope.schema import Density, Estimate
from gradscope.spectra._bidiagonal import Bidiagonal
from gradscope.spectra._points import ROUNDING, Points, joined, quadrature

FLOOR = 1e-2  # share of the largest singular value: below, a few dozen points of σ² tell a value from 0 no more
_BINS = 20  # between the floor and the largest value: a tenth of a decade each
_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_LEVEL = 0.99
_EARLIER = (1 / 2, 2 / 3, 5 / 6)  # shares of the steps that a quadrature is compared after
_METHOD = "lanczos quadrature"


@dataclass(frozen=True, slots=True)
class LogDensity:
    """The density of the logarithms of singular values, as weighted points (stochastic Lanczos quadrature).

    Golub and Meurant, "Matrices, Moments and Quadrature with Applications", 2010; Ubaru, Chen and Saad, "Fast
    estimation of tr(f(A)) via stochastic Lanczos quadrature", SIAM J. Matrix Anal. Appl. 38, 2017.

    Intervals hold the chance of the start vectors (Student's, 99 %) and the error of the quadrature, which is taken
    to be the most that the second half of the steps changed.

    Attributes:
        probes: the points of every random start vector. Their values are those of the side the vectors live on:
            min(rows, columns) of them where an iteration starts on the smaller side.
        earlier: the same after fewer steps; none where the points are the singular values themselves.
    """

    probes: tuple[Points, ...]
    earlier: tuple[tuple[Points, ...], ...] = ()

    @property
    def floor(self) -> float:
        """Singular values below count as this."""
        return FLOOR * max(float(probe.values.max()) for probe in self.probes)

    @property
    def mean(self) -> Estimate:
        """Mean of ln σ; 0 for an isometry."""
        return self._over(self._mean)

    @property
    def spread(self) -> Estimate:
        """Standard deviation of ln σ: 0 at dynamical isometry (Pennington, Schoenholz and Ganguli, NeurIPS 2017)."""
        return self._over(self._spread, least=0.0)

    def quantile(self, share: float) -> Estimate:
        """The ln σ below which this share of the singular values lies: of all probes together, with their interval.

        On a jump of the density, each probe may be on another side of it.
        """
        found = self._over(lambda points: self._quantile(points, share))
        value = self._quantile(joined(self.probes), share)
        return replace(found, value=value, low=min(found.low, value), high=max(found.high, value))

    def record(self) -> Density:
        """What is reported of it."""
        top = self.floor / FLOOR * (1 + 2 * ROUNDING)
        edges = np.geomspace(self.floor, top, _BINS + 1)
        bounds = np.array([-math.inf, *edges[1:-1], math.inf])

        def share(i: int) -> Callable[[Points], float]:
            return lambda points: float(np.diff(points.share_below(bounds[i : i + 2]))[0])

        quantiles = {f"{q:g}": _exponential(self.quantile(q)) for q in _QUANTILES}
        return Density(
            mean=self.mean,
            spread=self.spread,
            below=self._over(lambda points: float(points.share_below(edges[:1])[0]), least=0.0, most=1.0),
            quantiles=quantiles,
            edges=tuple(edges.tolist()),
            shares=tuple(self._over(share(i), least=0.0, most=1.0) for i in range(_BINS)),
        )

    def _mean(self, points: Points) -> float:
        return float(points.weights @ self._logs(points))

    def _spread(self, points: Points) -> float:
        logs = self._logs(points)
        return math.sqrt(max(0.0, float(points.weights @ (logs - points.weights @ logs) ** 2)))

    def _quantile(self, points: Points, share: float) -> float:
        ends = np.sort(np.concatenate((points.lows, points.highs)))
        return math.log(max(self.floor, float(np.interp(share, points.share_below(ends), ends))))

    def _logs(self, points: Points) -> np.ndarray:
        return np.log(np.maximum(points.values, self.floor))

    def _over(self, value: Callable[[Points], float], least: float = -math.inf, most: float = math.inf) -> Estimate:
        """Mean over the probes with its interval; nothing bounds what one probe says."""
        values = [value(probe) for probe in self.probes]
        count, mean = len(values), statistics.fmean(values)
        if not self.earlier:
            return Estimate.exact(mean, "dense", len(self.probes[0].values))
        if count == 1:
            return Estimate(mean, least, most, _METHOD, 1)
        half = float(student.ppf((1 + _LEVEL) / 2, count - 1)) * statistics.stdev(values) / math.sqrt(count)
        half += max(abs(mean - statistics.fmean(map(value, points))) for points in self.earlier)
        return Estimate(mean, max(least, mean - half), min(most, mean + half), _METHOD, count)


def log_density(probes: Sequence[Sequence[Bidiagonal]]) -> LogDensity | None:
    """The density that runs from independent vectors tell; None where the operator is zero or not finite.

    Args:
        probes: for every random start vector one run, or one for each of several diagonal blocks of equal shape.
    """
    for runs in probes:
        if not all(run.is_finite for run in runs) or not any(run.low() for run in runs):
            return None

    def after(share: float) -> tuple[Points, ...]:
        return tuple(joined([quadrature(run, _steps(run, share)) for run in runs]) for runs in probes)

    return LogDensity(after(1), tuple(map(after, _EARLIER)))


def dense_density(values: np.ndarray) -> LogDensity | None:
    """The density of known singular values; None where all are zero or one is not finite."""
    if not np.isfinite(values).all() or not values.any():
        return None
    blur = ROUNDING * values.max()
    return LogDensity((Points(values, np.full(len(values), 1 / len(values)), values - blur, values + blur),))


def _steps(run: Bidiagonal, share: float) -> int:
    """A share of the steps; all of a run that could go no further, whose points are singular values."""
    return len(run) if run.is_exhausted else max(1, int(share * len(run)))


def _exponential(logarithm: Estimate) -> Estimate:
    """The same of σ as of ln σ."""
    value, low, high = (math.exp(x) for x in (logarithm.value, logarithm.low, logarithm.high))
    return Estimate(value, low, high, logarithm.method, logarithm.n, logarithm.status)
