"""Golub-Kahan-Lanczos: the largest singular value of an operator that can only be applied, with bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra import _bounds

BREAKDOWN = 1e-6  # coefficients below this share of the largest are rounding of float32: the Krylov space is complete
_ROW = 4096
_COARSE = 5e-3  # tolerances from here on may be reached by extrapolation
_MARGIN = 1.5  # times the step of an extrapolation that is still plausible
_HIDDEN = 0.1  # share of the way from the Ritz value to the upper bound
ROUNDING = 1e-6  # relative slack of both bounds for the rounding of float32 vectors

Matvec = Callable[[Tensor], Tensor]


@dataclass(slots=True)
class Bidiagonal:
    """The bidiagonal matrix of a run so far: `alphas` on its diagonal, `betas` above it.

    Attributes:
        columns: entries of the start vector; `rows`: of its image, 0 before the first step.
        is_exhausted: the Krylov space is complete, so the largest Ritz value is the largest singular value.
    """

    columns: int
    rows: int = 0
    alphas: list[float] = field(default_factory=list)
    betas: list[float] = field(default_factory=list)
    is_exhausted: bool = False

    def __len__(self) -> int:
        return len(self.alphas)

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.alphas[-1]) and (not self.betas or math.isfinite(self.betas[-1]))

    def low(self) -> float:
        """Ritz value: the largest singular value is at least this."""
        return _bounds.ritz_value(self.alphas, self.betas)

    def high(self, probability: float) -> float:
        """What the largest singular value exceeds with at most `probability`."""
        if self.is_exhausted:
            return self.low()
        return _bounds.upper_bound(self.alphas, self.betas, dimension=self.columns, probability=probability)

    def band_edge(self, tail: int) -> float:
        """Extrapolation with the mean of the last `tail` coefficients."""
        return _bounds.continued_value(self.alphas, self.betas, tail, rows=self.rows, columns=self.columns)


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


def bidiagonalizations(matvec: Matvec, rmatvec: Matvec, start: Tensor) -> Iterator[Bidiagonal]:
    """Yield the growing bidiagonal matrix after every step (Golub and Kahan 1965); no reorthogonalization.

    Lost orthogonality only makes copies of values that have converged, never a too large Ritz value, so the
    largest singular value needs none. Four vectors are alive.

    Args:
        matvec: v -> J v; may return one of its arguments or a view.
        rmatvec: u -> Jᵀ u, likewise.
        start: random vector v₁ of any shape with independent normal entries, of any length.
    """
    bidiagonal = Bidiagonal(start.numel())
    alphas, betas = bidiagonal.alphas, bidiagonal.betas
    largest, u = 0.0, None
    v = start * (1 / norm(start))
    while True:
        w = matvec(v)
        bidiagonal.rows = w.numel()
        w = w.clone() if u is None else torch.sub(w, u, alpha=betas[-1])
        alpha = norm(w)
        largest = max(largest, alpha)
        if alpha <= BREAKDOWN * largest and alphas:
            bidiagonal.is_exhausted = True
            alphas.append(0.0)
            betas.append(0.0)
            yield bidiagonal
            return
        alphas.append(alpha)
        if alpha == 0 or not math.isfinite(alpha):
            bidiagonal.is_exhausted = alpha == 0
            betas.append(0.0)
            yield bidiagonal
            return
        u = w.mul_(1 / alpha)
        w = torch.sub(rmatvec(u), v, alpha=alpha)
        beta = norm(w)
        betas.append(beta)
        largest = max(largest, beta)
        bidiagonal.is_exhausted = beta <= BREAKDOWN * largest
        yield bidiagonal
        if bidiagonal.is_exhausted or not math.isfinite(beta):
            return
        v = w.mul_(1 / beta)


def norm(vector: Tensor) -> float:
    """Euclidean length, in double precision where squares leave the range of float32.

    A long vector is summed in rows: one float32 sum over 10⁶ squares is wrong in the fifth digit.
    """
    if vector.numel() > _ROW and vector.is_contiguous():
        whole = vector.numel() // _ROW * _ROW
        flat = vector.view(-1)
        rows = torch.linalg.vector_norm(flat[:whole].view(-1, _ROW), dim=1)
        length = math.hypot(torch.linalg.vector_norm(rows).item(), torch.linalg.vector_norm(flat[whole:]).item())
    else:
        length = torch.linalg.vector_norm(vector).item()
    if length == 0 or not math.isfinite(length):
        length = torch.linalg.vector_norm(vector, dtype=torch.float64).item()
    return length


def solve(matvec: Matvec, rmatvec: Matvec, start: Tensor, goal: Goal) -> tuple[Bidiagonal, bool]:
    """Run until `goal` is reached; return the matrix and whether it was."""
    settled = Settled(goal)
    for bidiagonal in bidiagonalizations(matvec, rmatvec, start):
        if not bidiagonal.is_finite or bidiagonal.is_exhausted:
            return bidiagonal, True
        if settled(bidiagonal):
            return bidiagonal, True
        if len(bidiagonal) >= goal.limit:
            return bidiagonal, False
    raise AssertionError("a run yields until it is exhausted")


class Settled:
    """The stop rule: bounds that meet, or extrapolations that agree with each other and with the last look.

    On hard operators that were never looked at when the shares of the tolerance below were chosen, fewer than one
    value in a hundred misses the tolerance (reports/benchmarks/spectra_accuracy.md).
    """

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.edge = math.inf  # of the last look

    def __call__(self, bidiagonal: Bidiagonal) -> bool:
        goal, k = self.goal, len(bidiagonal)
        if k == goal.first - goal.stride and not goal.is_certified:
            self.edge = bidiagonal.band_edge(k // 2)
        is_look = k >= goal.first and (k - goal.first) % goal.stride == 0
        if not is_look and not goal.early <= k < goal.first:
            return False
        low, high = bidiagonal.low(), bidiagonal.high(goal.probability)
        if high <= low * (1 + goal.tolerance) or goal.is_certified:
            return high <= low * (1 + goal.tolerance)
        if reach(bidiagonal, low, high) <= low * (1 + goal.tolerance / 2):
            return True
        if not is_look:
            return False
        previous, self.edge = self.edge, bidiagonal.band_edge(k // 2)
        other = bidiagonal.band_edge(k - 2)
        spread = max(abs(self.edge - other), abs(self.edge - previous)) / other
        if goal.is_coarse:
            return spread <= 0.3 * goal.tolerance
        is_close = max(self.edge, other) <= low * (1 + 1.5 * goal.tolerance) and high <= low * (1 + 12 * goal.tolerance)
        return is_close and spread <= 0.6 * goal.tolerance


def reach(bidiagonal: Bidiagonal, low: float, high: float) -> float:
    """How large the value may plausibly be, short of `high`: an extrapolation, or else a share of the way there.

    The run may hide a value behind a converged one that lies close to it; nearly always by less than that share.
    """
    k = len(bidiagonal)
    edge = min(bidiagonal.band_edge(k // 2), bidiagonal.band_edge(k - 2))
    return low + max(_MARGIN * (edge - low), _HIDDEN * (high - low))


def rms_gain(runs: Sequence[Bidiagonal], *, columns: int, ceiling: float, method: str) -> Estimate:
    """√(‖J‖²_F / n) of the block-diagonal operator of several runs, from their first steps (Hutchinson).

    v₁ is a random direction, so E α₁² = ‖J‖²_F / n; v₁ᵀ(JᵀJ)²v₁ = α₁⁴ + α₁²β₁² tells its spread. A run on the
    adjoint has the same norm and other columns.

    Args:
        runs: of operators of equal shape, or of their adjoints.
        columns: entries n of the input of one operator.
        ceiling: upper bound of the spectral norm.
        method: what to call the estimate.
    """
    if not all(run.is_finite for run in runs):
        return Estimate.unknown(method, "nonfinite")
    count = len(runs)
    second = sum(run.alphas[0] ** 2 for run in runs) / count
    fourth = sum(run.alphas[0] ** 4 + (run.alphas[0] * run.betas[0]) ** 2 for run in runs) / count
    scale = math.sqrt(runs[0].columns / columns)
    if not math.isfinite(ceiling):
        return Estimate(scale * math.sqrt(second), 0.0, math.inf, method, count)
    n = count * (runs[0].columns + 2) - 2
    low, high = _bounds.mean_square_interval(second, fourth, ceiling=ceiling**2, n=n)
    value, low, high = (scale * math.sqrt(x) for x in (second, low, high))
    return Estimate(value, min(low * (1 - ROUNDING), value), max(high * (1 + ROUNDING), value), method, count)


def spectral_norm(bidiagonal: Bidiagonal, is_settled: bool, *, probability: float, method: str) -> Estimate:
    """The largest singular value: the extrapolation, clamped to the bounds."""
    k = len(bidiagonal)
    if not bidiagonal.is_finite:
        return Estimate.unknown(method, "nonfinite")
    low, high = bidiagonal.low(), bidiagonal.high(probability)
    value = low
    if not bidiagonal.is_exhausted and k >= 3:
        edge = min(bidiagonal.band_edge(k // 2), bidiagonal.band_edge(k - 2))
        value = min(high, max(low, edge))
    status = "ok" if is_settled else "not-converged"
    return Estimate(value, low * (1 - ROUNDING), high * (1 + ROUNDING), method, k, status)
