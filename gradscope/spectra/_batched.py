"""Many independent operators of equal shape at once: the largest singular value among all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra._lanczos import BREAKDOWN, Bidiagonal, Goal, Settled, reach, rms_gain, spectral_norm


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


@dataclass(frozen=True, slots=True)
class Adjoint:
    """The adjoints of the systems: an iteration that starts on the smaller side is ahead of one on the larger."""

    systems: Systems

    def matvec(self, v: Tensor) -> Tensor:
        return self.systems.rmatvec(v)

    def rmatvec(self, u: Tensor) -> Tensor:
        return self.systems.matvec(u)

    def keep(self, rows: Tensor) -> Adjoint:
        return Adjoint(self.systems.keep(rows))


def solve_many(systems: Systems, start: Tensor, goal: Goal, *, columns: int) -> tuple[Estimate, Estimate]:
    """(spectral norm, rms gain) of the block-diagonal operator made of the systems.

    A system that cannot raise the maximum any more is dropped, a settled one is not iterated further.

    Args:
        systems: the operators, or their adjoints.
        start: independent normal entries, (systems, columns of the operators as given).
        goal: when a system has settled; the failure probability is shared among the systems.
        columns: entries of the input of one operator.
    """
    iteration = _Iteration.of(start, goal)
    is_finished = iteration.run(systems, start, is_maximum_wanted=True)
    norm = largest_estimate(iteration.estimates(is_finished))
    return norm, rms_gain(iteration.runs, columns=columns, ceiling=norm.high, method="hutchinson")


def solve_each(systems: Systems, start: Tensor, goal: Goal) -> list[Estimate]:
    """Spectral norm of every system; arguments as for `solve_many`."""
    iteration = _Iteration.of(start, goal)
    return iteration.estimates(iteration.run(systems, start))


@dataclass(slots=True)
class _Iteration:
    """The runs of all systems.

    Attributes:
        goal: of one system.
        dropped: systems that were left before they had settled.
    """

    goal: Goal
    runs: list[Bidiagonal]
    settled: list[Settled]
    dropped: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, start: Tensor, goal: Goal) -> _Iteration:
        goal = replace(goal, probability=goal.probability / len(start))
        return cls(goal, [Bidiagonal(start.shape[1]) for _ in start], [Settled(goal) for _ in start])

    def run(self, systems: Systems, start: Tensor, *, is_maximum_wanted: bool = False) -> bool:
        """Iterate until every system is settled, dropped or exhausted; False when the limit came first."""
        runs, alive = self.runs, list(range(len(self.runs)))
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
            rows = [row for row, i in enumerate(alive) if not _is_done(runs[i], self.settled[i])]
            if is_maximum_wanted:
                rows = self._contenders(rows, alive)
            if len(rows) < len(alive):
                alive = [alive[row] for row in rows]
                index = torch.tensor(rows, dtype=torch.long, device=v.device)
                systems, v, u, beta = systems.keep(index), v[index], u[index], beta[index]
            if alive and len(runs[alive[0]]) >= self.goal.limit:
                return False
        return True

    def _contenders(self, rows: list[int], alive: list[int]) -> list[int]:
        """Those of the rows whose run may still raise the maximum over all runs; the others are dropped."""
        k = max(len(run) for run in self.runs)
        if k < 4 or not rows:
            return rows
        best = max((run.low() for run in self.runs if run.is_finite), default=0.0)
        enough = best * (1 + self.goal.tolerance / 2)
        kept = [row for row in rows if self._reach(self.runs[alive[row]]) > enough]
        self.dropped.update(alive[row] for row in set(rows).difference(kept))
        return kept

    def _reach(self, run: Bidiagonal) -> float:
        """How large the value may plausibly be; surely, where a certificate is wanted."""
        high = run.high(self.goal.probability)
        return high if self.goal.is_certified else reach(run, run.low(), high)

    def estimates(self, is_finished: bool) -> list[Estimate]:
        """One for every system; a dropped one has not settled, and its value is the lower bound."""
        found = [spectral_norm(r, is_finished, probability=self.goal.probability, method="lanczos") for r in self.runs]
        return [replace(e, value=e.low) if i in self.dropped else e for i, e in enumerate(found)]


def _extend(run: Bidiagonal, alpha: float, beta: float) -> None:
    largest = max(alpha, beta, *run.alphas, *run.betas)
    if alpha <= BREAKDOWN * largest:
        alpha = beta = 0.0
    run.alphas.append(alpha)
    run.betas.append(beta)
    run.is_exhausted = beta <= BREAKDOWN * largest


def _is_done(run: Bidiagonal, settled: Settled) -> bool:
    return not run.is_finite or run.is_exhausted or settled(run)


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
