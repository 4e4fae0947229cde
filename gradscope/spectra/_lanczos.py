"""Golub-Kahan-Lanczos: the largest singular value of an operator that can only be applied, with bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra import _bounds
from gradscope.spectra._bidiagonal import Bidiagonal
from gradscope.spectra._stopping import Goal, Settled

BREAKDOWN = 1e-6  # coefficients below this share of the largest are rounding of float32: the Krylov space is complete
_ROW = 4096
_LIKELY = 0.25  # chance that a larger value escapes the start vector, up to which an extrapolation is believed
ROUNDING = 1e-6  # relative slack of both bounds for the rounding of float32 vectors

Matvec = Callable[[Tensor], Tensor]


class HalfSteps(Protocol):
    """The two halves of a step, with their vectors; `rows` and `columns` are the lengths of u and v.

    A half step whose coefficient is zero or not finite is the last.
    """

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> int: ...

    def along(self) -> float:
        """u <- J v - β u; return its length α and scale it to one."""
        ...

    def back(self) -> float:
        """v <- Jᵀ u - α v; return its length β and scale it to one."""
        ...


class OfProducts:
    """The half steps of an operator that can only be applied; four vectors are alive."""

    def __init__(self, matvec: Matvec, rmatvec: Matvec, start: Tensor) -> None:
        self._matvec, self._rmatvec = matvec, rmatvec
        self._v = start * (1 / norm(start))
        self._u: Tensor | None = None
        self._alpha = self._beta = 0.0
        self.columns, self.rows = start.numel(), 0

    def along(self) -> float:
        w = self._matvec(self._v)
        self.rows = w.numel()
        w = w.clone() if self._u is None else torch.sub(w, self._u, alpha=self._beta)
        self._alpha = norm(w)
        self._u = w.mul_(1 / self._alpha) if self._alpha else w
        return self._alpha

    def back(self) -> float:
        assert self._u is not None, "the first half comes first"
        w = torch.sub(self._rmatvec(self._u), self._v, alpha=self._alpha)
        self._beta = norm(w)
        self._v = w.mul_(1 / self._beta) if self._beta else w
        return self._beta


def bidiagonalizations(steps: HalfSteps) -> Iterator[Bidiagonal]:
    """Yield the growing bidiagonal matrix after every step (Golub and Kahan 1965); no reorthogonalization.

    Lost orthogonality only makes copies of values that have converged, never a too large Ritz value, so the
    largest singular value needs none.
    """
    bidiagonal = Bidiagonal(steps.columns)
    alphas, betas = bidiagonal.alphas, bidiagonal.betas
    largest = 0.0
    while True:
        alpha = steps.along()
        bidiagonal.rows = steps.rows
        largest = max(largest, alpha)
        is_over = alpha < math.inf and alpha <= BREAKDOWN * largest  # also where it is zero at once
        alphas.append(0.0 if is_over else alpha)
        if is_over or not math.isfinite(alpha):
            bidiagonal.is_exhausted = is_over
            betas.append(0.0)
            yield bidiagonal
            return
        beta = steps.back()
        betas.append(beta)
        largest = max(largest, beta)
        bidiagonal.is_exhausted = beta <= BREAKDOWN * largest
        yield bidiagonal
        if bidiagonal.is_exhausted or not math.isfinite(beta):
            return


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
    """Run until `goal` is reached; return the matrix and whether it was.

    Args:
        matvec: v -> J v; may return one of its arguments or a view.
        rmatvec: u -> Jᵀ u, likewise.
        start: random vector of any shape with independent normal entries, of any length.
        goal: when to stop.
    """
    return run(OfProducts(matvec, rmatvec, start), goal)


def run(steps: HalfSteps, goal: Goal) -> tuple[Bidiagonal, bool]:
    """Step until `goal` is reached; return the matrix and whether it was."""
    settled = Settled(goal)
    for bidiagonal in bidiagonalizations(steps):
        if not bidiagonal.is_finite or bidiagonal.is_exhausted:
            return bidiagonal, True
        if settled(bidiagonal):
            return bidiagonal, True
        if len(bidiagonal) >= goal.limit:
            return bidiagonal, False
    raise AssertionError("a run yields until it is exhausted")


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
    """The largest singular value: the extrapolation, clamped to the bounds and to what is likely at all."""
    k = len(bidiagonal)
    if not bidiagonal.is_finite:
        return Estimate.unknown(method, "nonfinite")
    low, high = bidiagonal.low(), bidiagonal.high(probability)
    value = low
    if not bidiagonal.is_exhausted and k >= 3:
        value = max(low, min(bidiagonal.band_edge(k // 2), bidiagonal.band_edge(k - 2)))
        if value > low and bidiagonal.is_below(value, _LIKELY):  # they alternate below a gap: no edge
            value = min(value, bidiagonal.high(_LIKELY))
        value = min(value, high)
    status = "ok" if is_settled else "not-converged"
    return Estimate(value, low * (1 - ROUNDING), high * (1 + ROUNDING), method, k, status)
