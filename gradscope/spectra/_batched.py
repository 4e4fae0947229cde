"""Many independent operators of equal shape at once: the largest singular value among all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra._bidiagonal import Bidiagonal
from gradscope.spectra._lanczos import BREAKDOWN, ROUNDING, rms_gain, spectral_norm
from gradscope.spectra._steps import GramSystems, OneSided, Steps, Systems, TwoSided
from gradscope.spectra._stopping import Goal, Settled, is_unlikely_above


def solve_many(systems: GramSystems, start: Tensor, goal: Goal, *, columns: int) -> tuple[Estimate, Estimate]:
    """(spectral norm, rms gain) of the block-diagonal operator made of the systems.

    A system that cannot raise the maximum any more is dropped, a settled one is not iterated further.

    Args:
        systems: the operators, or their adjoints.
        start: independent normal entries, (systems, columns of the operators as given).
        goal: when a system has settled; the failure probability is shared among the systems.
        columns: entries of the input of one operator.
    """
    norm, runs = solve_largest(OneSided(systems, start), start, goal)
    return norm, rms_gain(runs, columns=columns, ceiling=norm.high, method="hutchinson")


def solve_largest(steps: Steps, start: Tensor, goal: Goal) -> tuple[Estimate, list[Bidiagonal]]:
    """Spectral norm of the block-diagonal operator of all systems, and the runs: of a system dropped, a short one."""
    iteration = _Iteration.of(start, goal)
    is_finished = iteration.run(steps, is_maximum_wanted=True)
    return iteration.largest(is_finished), iteration.runs


def solve_each(systems: Systems, start: Tensor, goal: Goal) -> list[Estimate]:
    """Spectral norm of every system; arguments as for `solve_many`."""
    iteration = _Iteration.of(start, goal)
    return iteration.estimates(iteration.run(TwoSided(systems, start)))


_LEFT = 0.5  # share of the tolerance by which a system that is dropped may exceed the maximum


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
    device: torch.device
    dropped: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, start: Tensor, goal: Goal) -> _Iteration:
        goal = replace(goal, probability=goal.probability / len(start))
        return cls(goal, [Bidiagonal(start.shape[1]) for _ in start], [Settled(goal) for _ in start], start.device)

    def run(self, steps: Steps, *, is_maximum_wanted: bool = False) -> bool:
        """Iterate until every system is settled, dropped or exhausted; False when the limit came first."""
        runs, alive = self.runs, list(range(len(self.runs)))
        while alive:
            for i, alpha, beta in zip(alive, *steps.advance(), strict=True):
                runs[i].rows = steps.rows
                _extend(runs[i], alpha, beta)
            rows = [row for row, i in enumerate(alive) if not _is_done(runs[i], self.settled[i])]
            if is_maximum_wanted:
                rows = self._contenders(rows, alive)
            if rows and len(rows) < len(alive):
                steps.keep(torch.tensor(rows, dtype=torch.long, device=self.device))
            alive = [alive[row] for row in rows]
            if alive and len(runs[alive[0]]) >= self.goal.limit:
                return False
        return True

    def _contenders(self, rows: list[int], alive: list[int]) -> list[int]:
        """Those of the rows whose run may still raise the maximum over all runs; the others are dropped."""
        k = max(len(run) for run in self.runs)
        if k < 4 or not rows:
            return rows
        enough = (1 + _LEFT * self.goal.tolerance) * max((r.low() for r in self.runs if r.is_finite), default=0.0)
        kept = [row for row in rows if not self._is_below(enough, self.runs[alive[row]])]
        self.dropped.update(alive[row] for row in set(rows).difference(kept))
        return kept

    def _is_below(self, value: float, run: Bidiagonal) -> bool:
        """Whether the largest singular value is hardly above `value`; surely not, where a certificate is wanted."""
        if self.goal.is_certified:
            return run.is_below(value, self.goal.probability)
        return is_unlikely_above(value, run, self.goal)

    def largest(self, is_finished: bool) -> Estimate:
        """The maximum over all systems; an upper bound is computed only where it may be the largest."""
        if not all(run.is_finite for run in self.runs):
            return Estimate.unknown("lanczos", "nonfinite")
        probability, found = self.goal.probability, None
        for i, run in sorted(enumerate(self.runs), key=lambda item: -item[1].low()):
            if found is None or i not in self.dropped:
                norm = spectral_norm(run, is_finished, probability=probability, method="lanczos")
                norm = replace(norm, value=norm.low) if i in self.dropped else norm
                found = norm if found is None else largest_estimate((found, norm))
            elif not run.is_below(found.high, probability):
                found = replace(found, high=run.high(probability) * (1 + ROUNDING), n=max(found.n, len(run)))
        assert found is not None, "there is a system"
        return found

    def estimates(self, is_finished: bool) -> list[Estimate]:
        """One for every system."""
        return [spectral_norm(r, is_finished, probability=self.goal.probability, method="lanczos") for r in self.runs]


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
