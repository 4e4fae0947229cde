"""The stored outcomes: one JSON object a line, one line a configuration, gzipped."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

OUTCOMES = Path(__file__).with_name("outcomes.jsonl.gz")
DIGITS = 4
"""Significant digits of a stored number."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training run.

    Attributes:
        optimizer: "sgd" (momentum 0.9) or "adam".
        learning_rate: constant.
        seed: of the initialisation and of the order of the data.
        steps: taken.
        loss: the training loss of each window of steps, averaged; not finite only at the end.
        error: the task error of each window, see `losses.error`.
    """

    optimizer: str
    learning_rate: float
    seed: int
    steps: int
    loss: tuple[float | None, ...]
    error: tuple[float | None, ...]

    @property
    def is_finite(self) -> bool:
        """Whether training never broke."""
        return self.loss[-1] is not None and math.isfinite(self.loss[-1])


@dataclass(frozen=True, slots=True)
class Row:
    """A configuration, its settings and all its runs."""

    family: str
    name: str
    task: str
    loss: str
    inputs: str
    targets: str
    batch_size: int
    parameters: int
    runs: tuple[Run, ...]

    @property
    def key(self) -> str:
        """The configuration's key."""
        return f"{self.family}/{self.name}"


def _rounded(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """Numbers to `DIGITS` significant digits; what is not finite becomes null."""
    return tuple(float(f"{v:.{DIGITS}g}") if v is not None and math.isfinite(v) else None for v in values)


def encode(row: Row) -> bytes:
    """One line, without its end."""
    runs = tuple(
        Run(run.optimizer, run.learning_rate, run.seed, run.steps, _rounded(run.loss), _rounded(run.error))
        for run in row.runs
    )
    settings = (row.family, row.name, row.task, row.loss, row.inputs, row.targets, row.batch_size, row.parameters)
    return msgspec.json.encode(Row(*settings, runs=runs))


def decode(lines: Iterable[bytes]) -> Iterator[Row]:
    """The rows of these lines."""
    decoder = msgspec.json.Decoder(Row)
    return (decoder.decode(line) for line in lines if line.strip())


def load(path: Path = OUTCOMES) -> list[Row]:
    """Every stored configuration, sorted by key."""
    with gzip.open(path, "rb") as file:
        return list(decode(file))


def save(rows: Iterable[Row], path: Path = OUTCOMES) -> None:
    """Write rows sorted by key: equal rows give equal bytes."""
    lines = b"".join(encode(row) + b"\n" for row in sorted(rows, key=lambda row: row.key))
    path.write_bytes(gzip.compress(lines, compresslevel=9, mtime=0))
