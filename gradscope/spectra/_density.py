"""How the singular values of an operator are spread on a logarithmic scale: how far it is from an isometry."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.stats import t as student

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra import _lanczos
from gradscope.spectra._bidiagonal import Bidiagonal
from gradscope.spectra._linearize import linearize
from gradscope.spectra._matrix import real
from gradscope.spectra._replay import replay
from gradscope.spectra._rules import data
from gradscope.spectra._stopping import fixed
from gradscope.spectra._sweep import Sweep

FLOOR = 1e-2  # share of the largest singular value: below, a few dozen points of σ² tell a value from 0 no more
_LEVEL = 0.99


@dataclass(frozen=True, slots=True)
class LogDensity:
    """The density of the logarithms of singular values, as weighted points (stochastic Lanczos quadrature).

    Golub and Meurant, "Matrices, Moments and Quadrature with Applications", 2010; Ubaru, Chen and Saad, "Fast
    estimation of tr(f(A)) via stochastic Lanczos quadrature", SIAM J. Matrix Anal. Appl. 38, 2017.

    Attributes:
        probes: for every random start vector the natural logarithms, floored at FLOOR of the largest value, and
            weights that sum to 1. The values are those of the side the vectors live on: min(rows, columns) of them
            where an iteration starts on the smaller side.
    """

    probes: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def mean(self) -> Estimate:
        """Mean of ln σ; 0 for an isometry."""
        return _over([float(w @ x) for x, w in self.probes])

    @property
    def spread(self) -> Estimate:
        """Standard deviation of ln σ: 0 at dynamical isometry (Pennington, Schoenholz and Ganguli, NeurIPS 2017)."""
        return _over([math.sqrt(max(0.0, float(w @ (x - w @ x) ** 2))) for x, w in self.probes], least=0.0)

    def quantile(self, share: float) -> float:
        """The ln σ below which this share of the singular values lies."""
        points = np.concatenate([x for x, _ in self.probes])
        weights = np.concatenate([w for _, w in self.probes]) / len(self.probes)
        order = np.argsort(points)
        reached = np.cumsum(weights[order])
        return float(points[order][min(np.searchsorted(reached, share), len(points) - 1)])


def log_density(probes: Sequence[Sequence[Bidiagonal]]) -> LogDensity | None:
    """The density that runs from independent vectors tell; None where the operator is zero or not finite.

    Args:
        probes: for every random start vector one run, or one for each of several diagonal blocks of equal shape.
    """
    found = []
    for runs in probes:
        if not all(run.is_finite for run in runs) or not any(run.low() for run in runs):
            return None
        values, weights = zip(*map(_quadrature, runs), strict=True)
        values = np.concatenate(values)
        found.append((np.log(np.maximum(values, FLOOR * values.max())), np.concatenate(weights) / len(runs)))
    return LogDensity(tuple(found))


def _quadrature(run: Bidiagonal) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of the bidiagonal matrix and the weights of the start vector in them."""
    alphas, betas = np.asarray(run.alphas), np.asarray(run.betas[: len(run) - 1])
    diagonal = alphas**2
    diagonal[1:] += betas**2
    squares, vectors = eigh_tridiagonal(diagonal, alphas[:-1] * betas)
    return np.sqrt(np.clip(squares, 0, None)), vectors[0] ** 2


def layer_density(call: LayerCall, sweep: Sweep, *, probes: int = 4, steps: int = 24) -> LogDensity | None:
    """The density of one chosen layer, by its derivatives; None where the Jacobian is zero or not finite.

    Args:
        call: the layer with its live tensors.
        sweep: the pass, whose generator draws the start vectors.
        probes: independent start vectors.
        steps: of every run; so many points has its quadrature.

    Raises:
        NotAnalysedError: the layer has no consistent derivative.
    """
    inputs = data(call)
    operator = linearize(replay(call, inputs), [real(x) for x in inputs], sweep.generator)
    forth, back = operator.matvec, operator.rmatvec
    if operator.rows < operator.columns:
        forth, back = back, forth
    goal = fixed(steps)
    starts = (sweep.start(min(operator.rows, operator.columns), like=inputs[0]) for _ in range(probes))
    return log_density([[_lanczos.solve(forth, back, start, goal)[0]] for start in starts])


def _over(values: Sequence[float], least: float = -math.inf) -> Estimate:
    """Mean over the probes with Student's 99 % interval; nothing bounds what one probe says."""
    count, mean = len(values), statistics.fmean(values)
    if count == 1:
        return Estimate(mean, least, math.inf, "lanczos quadrature", 1)
    half = float(student.ppf((1 + _LEVEL) / 2, count - 1)) * statistics.stdev(values) / math.sqrt(count)
    return Estimate(mean, max(least, mean - half), mean + half, "lanczos quadrature", count)
