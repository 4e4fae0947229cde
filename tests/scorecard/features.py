"""The stored features: what verdict and peers see of every configuration, one JSON object a line, gzipped."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from gradscope.diagnose._features import features
from gradscope.diagnose._risk import Basis
from tests.corpus.config import Config
from tests.scorecard.extract import Examined, seen
from tests.scorecard.peers import BASELINES, PEERS

FEATURES = Path(__file__).with_name("features.jsonl.gz")
DIGITS = 6
"""Significant digits of a stored number."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One configuration.

    Attributes:
        key: of the configuration.
        features: by basis and name; None is unknown.
        rules: of each peer and baseline, the decades beyond its threshold at initialisation and after training.
    """

    key: str
    features: dict[Basis, dict[str, float | None]]
    rules: dict[str, tuple[float, float]]


def sample(examined: Examined) -> Sample:
    """What is stored of a configuration."""
    attempts = {"statics": (), "example": examined.on_example, "batches": examined.on_batches}
    return Sample(
        key=examined.key,
        features={
            basis: {name: _rounded(v) for name, v in features(replace(examined.profile, attempts=tried)).items()}
            for basis, tried in attempts.items()
        },
        rules={
            name: (_exactly(rule(examined.snapshots[0])), _exactly(rule(examined.snapshots[1])))
            for name, rule in (PEERS | BASELINES).items()
        },
    )


def collect(found: Mapping[str, Config], keys: Iterable[str]) -> list[Sample]:
    """Examine configurations, or read what was seen of them before."""
    return [sample(seen(found[key])) for key in sorted(keys)]


def save(samples: Iterable[Sample], path: Path = FEATURES) -> None:
    """Write samples sorted by key: equal samples give equal bytes."""
    lines = b"".join(msgspec.json.encode(s) + b"\n" for s in sorted(samples, key=lambda s: s.key))
    path.write_bytes(gzip.compress(lines, compresslevel=9, mtime=0))


def load(path: Path = FEATURES) -> list[Sample]:
    """The stored samples, sorted by key."""
    decoder = msgspec.json.Decoder(Sample)
    with gzip.open(path, "rb") as file:
        return [decoder.decode(line) for line in file]


def _rounded(value: float | None) -> float | None:
    return None if value is None else _exactly(value)


def _exactly(value: float) -> float:
    assert math.isfinite(value), "features and scores are cut off"
    return float(f"{value:.{DIGITS}g}")
