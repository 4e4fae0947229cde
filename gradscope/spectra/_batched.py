"""Many independent operators of equal shape at once: the largest singular value among all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra._lanczos import BREAKDOWN, Bidiagonal, Goal, Settled, rms_gain, spectral_norm


class Systems(Protocol):
    """Operators of equal shape, one a row."""

    def matvec(self, v: Tensor) -> Tensor:
        """(systems, columns) -> (systems, rows)."""
        ...

    def rmatvec(self, u: Tensor) -> Tensor:
        """(systems, rows) -> (systems, columns)."""
        ...

    def keep(self, rows: Tensor) -> Systems:
        """Only the systems with these indices."""
        ...


def solve_many(systems: Systems, start: Tensor, goal: Goal) -> tuple[Estimate, Estimate]:
    """(spectral norm, rms gain) of the block-diagonal operator made of the systems.

    A system that cannot hold the maximum any more is dropped, a settled one is not iterated further.

    Args:
        systems: the operators.
        start: independent normal entries, (systems, columns).
        goal: when a system has settled; the failure probability is shared among the systems.
    """
    estimates, gain = solve_each(systems, start, goal, is_maximum_wanted=True)
    return largest_estimate(estimates), gain


def solve_each(
    systems: Systems, start: Tensor, goal: Goal, *, is_maximum_wanted: bool = False
) -> tuple[list[Estimate], Estimate]:
    """(spectral norm of every system, rms gain of all).

    Args:
        systems: the operators.
        start: independent normal entries, (systems, columns).
        goal: when a system has settled; the failure probability is shared among the systems.
        is_maximum_wanted: systems that cannot hold the maximum may be left inaccurate.
    """
    count = len(start)
    goal = replace(goal, probability=goal.probability / count)
    runs = [Bidiagonal(start.shape[1]) for _ in range(count)]
    settled = [Settled(goal) for _ in range(count)]
    is_finished = _iterate(systems, start, runs, settled, goal, is_maximum_wanted)
    estimates = [spectral_norm(run, is_finished, probability=goal.probability, method="lanczos") for run in runs]
    ceiling = largest_estimate(estimates).high
    return estimates, rms_gain(runs, ceiling=ceiling, method="hutchinson")


def _iterate(systems: Systems, start: Tensor, runs, settled, goal: Goal, is_maximum_wanted: bool) -> bool:
    """Fill `runs` until every system is settled, dropped or exhausted; False when the limit came first."""
    alive = list(range(len(runs)))
    v = start / _lengths(start)
    u = beta = None
    while alive:
        w = systems.matvec(v)
        w = w.clone() if u is None or beta is None else torch.sub(w, beta * u)
        alpha = _lengths(w)
        u = _divided(w, alpha)
        w = torch.sub(systems.rmatvec(u), alpha * v)
        beta = _lengths(w)
        v = _divided(w, beta)
        for i, a, b in zip(alive, alpha.flatten().tolist(), beta.flatten().tolist(), strict=True):
            runs[i].rows = u.shape[1]
            _extend(runs[i], a, b)
        rows = [row for row, i in enumerate(alive) if not _is_done(runs[i], settled[i])]
        if is_maximum_wanted:
            rows = _contenders(rows, alive, runs, goal)
        if len(rows) < len(alive):
            alive = [alive[row] for row in rows]
            index = torch.tensor(rows, dtype=torch.long, device=v.device)
            systems, v, u, beta = systems.keep(index), v[index], u[index], beta[index]
        if alive and len(runs[alive[0]]) >= goal.limit:
            return False
    return True


def _contenders(rows: list[int], alive: list[int], runs: list[Bidiagonal], goal: Goal) -> list[int]:
    """Those of the rows whose run may still hold the maximum over all runs."""
    k = max(len(run) for run in runs)
    if k < 4 or k % 2 or not rows:
        return rows
    best = max((run.low() for run in runs if run.is_finite), default=0.0)
    return [row for row in rows if _reach(runs[alive[row]], goal) >= best]


def _extend(run: Bidiagonal, alpha: float, beta: float) -> None:
    largest = max(alpha, beta, *run.alphas, *run.betas)
    if alpha <= BREAKDOWN * largest:
        alpha = beta = 0.0
    run.alphas.append(alpha)
    run.betas.append(beta)
    run.is_exhausted = beta <= BREAKDOWN * largest


def _is_done(run: Bidiagonal, settled: Settled) -> bool:
    return not run.is_finite or run.is_exhausted or settled(run)


def _reach(run: Bidiagonal, goal: Goal) -> float:
    """How large the value may plausibly be; surely, where a certificate is wanted."""
    if goal.is_certified:
        return run.high(goal.probability)
    low = run.low()
    return low + 3 * (run.band_edge(len(run) - 2) - low)


def largest_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """The maximum of several unknowns with intervals."""
    if any(e.status == "nonfinite" for e in estimates):
        return Estimate.unknown("lanczos", "nonfinite")
    return Estimate(
        max(e.value for e in estimates),
        max(e.low for e in estimates),
        max(e.high for e in estimates),
        "lanczos",
        max(e.n for e in estimates),
        "not-converged" if any(e.status == "not-converged" for e in estimates) else "ok",
    )


def _lengths(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=1, keepdim=True)


def _divided(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Unit vectors; a zero vector stays zero."""
    return vectors / lengths.masked_fill(lengths == 0, 1.0)
