"""What the verdict says of models of families that it was not fitted to, beside what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gradscope.diagnose._risk import BASES, Basis, Model
from tests.corpus import split
from tests.corpus.labels import Outcome
from tests.corpus.store import Row
from tests.scorecard.features import Sample
from tests.scorecard.metrics import Array, Flags
from tests.scorecard.model import build, outcomes


@dataclass(frozen=True, slots=True)
class Judged:
    """Models with their outcomes and what the verdict says of them, in one order.

    Attributes:
        samples: what was seen.
        families: of each.
        became: what happened.
        never: risk of never training, by basis.
        risk: of not fully training, by basis.
        far: distance from the nearest model of the corpus.
    """

    samples: tuple[Sample, ...]
    families: tuple[str, ...]
    became: tuple[Outcome, ...]
    never: dict[Basis, Array]
    risk: dict[Basis, Array]
    far: Array

    def is_bad(self, bad: Iterable[Outcome]) -> Flags:
        """Which came to one of these outcomes."""
        return np.array([outcome in set(bad) for outcome in self.became])

    def part(self, keep: Callable[[int], bool]) -> Judged:
        """Only some of the models."""
        rows = [i for i in range(len(self.samples)) if keep(i)]
        return Judged(
            tuple(self.samples[i] for i in rows),
            tuple(self.families[i] for i in rows),
            tuple(self.became[i] for i in rows),
            {b: v[rows] for b, v in self.never.items()},
            {b: v[rows] for b, v in self.risk.items()},
            self.far[rows],
        )


def judged(samples: Sequence[Sample], rows: Sequence[Row], model: Model) -> Judged:
    """The verdict on every model that was set aside."""
    kept = {row.key for row in rows if split.role(row) == "judge"}
    return _judged([s for s in samples if s.key in kept], rows, model)


def left_out(samples: Sequence[Sample], rows: Sequence[Row]) -> Judged:
    """The verdict on every model that was fitted to, each by a fit without its family."""
    family = {row.key: row.family for row in rows if split.role(row) == "fit"}
    parts = []
    for name in sorted(set(family.values())):
        others = build([s for s in samples if family.get(s.key) != name], rows)
        parts.append(_judged([s for s in samples if family.get(s.key) == name], rows, others))
    return joined(parts)


def joined(parts: Sequence[Judged]) -> Judged:
    """All of them, one after the other."""
    return Judged(
        tuple(s for part in parts for s in part.samples),
        tuple(f for part in parts for f in part.families),
        tuple(b for part in parts for b in part.became),
        {basis: np.concatenate([part.never[basis] for part in parts]) for basis in BASES},
        {basis: np.concatenate([part.risk[basis] for part in parts]) for basis in BASES},
        np.concatenate([part.far for part in parts]),
    )


def _judged(chosen: Sequence[Sample], rows: Sequence[Row], model: Model) -> Judged:
    family, became = {row.key: row.family for row in rows}, outcomes(rows)
    never = {b: np.array([model.never[b].probability(s.features[b]) for s in chosen]) for b in BASES}
    worse = {b: np.array([model.not_fully[b].probability(s.features[b]) for s in chosen]) for b in BASES}
    return Judged(
        tuple(chosen),
        tuple(family[s.key] for s in chosen),
        tuple(became[s.key] for s in chosen),
        never,
        {b: np.maximum(never[b], worse[b]) for b in BASES},
        np.array([model.seen.distance(s.features["batches"]) for s in chosen]),
    )
