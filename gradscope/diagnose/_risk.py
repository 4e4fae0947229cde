"""From features to frequencies: an additive logistic model whose coefficients are in `risk.json`.

    risk = 1 / (1 + exp(-logit)),   logit = slope (intercept + sum of weight * ramp) + offset
    ramp = clip((feature - start) / (end - start), 0, 1),   weight >= 0

There are two heads, "never" (no usual learning rate of SGD or Adam gets it beyond a constant answer) and "not fully"
(none gets it near what a sound model reaches), each for three bases: statics alone, with trial steps on the example
batch, with trial steps on real batches. `make scorecard` fits them to models that were trained, and judges them on
families that it leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

Basis = Literal["statics", "example", "batches"]
BASES: tuple[Basis, ...] = ("statics", "example", "batches")


@dataclass(frozen=True, slots=True)
class Ramp:
    """A piece of a feature's curve: what it adds to the sum once the feature is beyond `end`.

    `mean` is its mean over the corpus, which stands in where the feature is unknown.
    """

    feature: str
    start: float
    end: float
    weight: float
    mean: float

    def at(self, value: float | None) -> float:
        """Height of the ramp, 0..1."""
        return self.mean if value is None else min(1.0, max(0.0, (value - self.start) / (self.end - self.start)))


@dataclass(frozen=True, slots=True)
class Head:
    """One outcome: its ramps, and the slope and offset that make the sum log-odds."""

    intercept: float
    slope: float
    offset: float
    ramps: tuple[Ramp, ...]

    def probability(self, features: Mapping[str, float | None]) -> float:
        """Share of such models that come to this outcome."""
        total = self.intercept + sum(ramp.weight * ramp.at(features.get(ramp.feature)) for ramp in self.ramps)
        return 1 / (1 + math.exp(-(self.slope * total + self.offset)))

    def parts(self, features: Mapping[str, float | None]) -> dict[str, float]:
        """What every known feature adds to the log-odds."""
        parts: dict[str, float] = {}
        for ramp in self.ramps:
            value = features.get(ramp.feature)
            if value is not None:
                parts[ramp.feature] = parts.get(ramp.feature, 0.0) + self.slope * ramp.weight * ramp.at(value)
        return parts


@dataclass(frozen=True, slots=True)
class Seen:
    """What the corpus looks like, for telling what is far from all of it.

    Attributes:
        features: names of the coordinates.
        scales: what the coordinates are divided by, their standard deviations over the corpus.
        points: models of the corpus (null: unknown), spread out so that every other one is near some of them.
        limit: root mean square difference of the coordinates beyond which nothing was seen.
    """

    features: tuple[str, ...]
    scales: tuple[float, ...]
    points: tuple[tuple[float | None, ...], ...]
    limit: float

    def distance(self, features: Mapping[str, float | None]) -> float:
        """To the nearest point, over the coordinates that both know."""
        return min(self._apart(point, features) for point in self.points)

    def _apart(self, point: tuple[float | None, ...], features: Mapping[str, float | None]) -> float:
        squares = [
            ((here - there) / scale) ** 2
            for name, scale, there in zip(self.features, self.scales, point, strict=True)
            if there is not None and (here := features.get(name)) is not None
        ]
        return math.sqrt(sum(squares) / len(squares)) if squares else math.inf


@dataclass(frozen=True, slots=True)
class Model:
    """All heads, what they were fitted to, and by which command.

    Attributes:
        provenance: hashes of the outcomes and of the features, the number of models, and the command.
        never: by basis.
        not_fully: by basis.
        seen: the corpus.
    """

    provenance: dict[str, str]
    never: dict[Basis, Head]
    not_fully: dict[Basis, Head]
    seen: Seen


@cache
def model() -> Model:
    """The fitted model."""
    return msgspec.json.decode(files("gradscope.diagnose").joinpath("risk.json").read_bytes(), type=Model)
