"""What gradscope and the peers see of every configuration: one measurement, trial steps, two snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from gradscope import capture, load, measure
from gradscope.borrow import borrowed
from gradscope.config import Config as Settings
from gradscope.schema import Attempt, Profile, Subject
from tests.corpus.config import Config
from tests.corpus.data import tensors
from tests.corpus.losses import LOSSES
from tests.scorecard.peers import STEPS, Snapshot, snapshots

SEEN = Path(__file__).parents[2] / "build" / "scorecard"
"""One file a configuration: an interrupted run loses nothing, and features can be changed without running again."""

DATA_SEED = 1000
"""Apart from the seeds of the corpus' own runs."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One configuration.

    Attributes:
        key: of the configuration.
        profile: without spectra and attempts.
        on_batches: attempts on fresh batches.
        on_example: attempts on the example batch.
        snapshots: what the peers look at, at initialisation and after training.
    """

    key: str
    profile: Profile
    on_batches: tuple[Attempt, ...]
    on_example: tuple[Attempt, ...]
    snapshots: tuple[Snapshot, Snapshot]


def batches(config: Config, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of a configuration's task, drawn with replacement."""
    inputs, targets = tensors(config.task, config.inputs, config.targets)
    generator = torch.Generator().manual_seed(config.seed(DATA_SEED + seed))
    while True:
        rows = torch.randint(len(inputs), (config.batch_size,), generator=generator)
        yield inputs[rows], targets[rows]


def subject(config: Config, *, has_batches: bool) -> Subject:
    """The configuration as a user would hand it in."""
    inputs, targets = next(batches(config, 0))
    return load.subject(
        lambda: config.build(0),
        inputs,
        targets=targets,
        loss=LOSSES[config.loss],
        batches=(lambda seed: batches(config, seed)) if has_batches else None,
    )


def examine(config: Config) -> Examined:
    """Measure, attempt and take snapshots; every number depends on the configuration alone."""
    torch.set_num_threads(1)
    real, example = subject(config, has_batches=True), subject(config, has_batches=False)
    with borrowed(real.model, training=True, seed=0):
        _, profile = measure.profile(real, capture.graph, Settings(), has_spectra=False)
    steps = Settings().attempt_steps
    on_batches, gaps = measure.attempts(real, steps=steps)
    on_example, more = measure.attempts(example, steps=steps)
    if gaps or more:
        raise RuntimeError(f"{config.key}: {(*gaps, *more)}")
    return Examined(
        key=config.key,
        profile=profile,
        on_batches=on_batches,
        on_example=on_example,
        snapshots=snapshots(lambda: config.build(0), LOSSES[config.loss], list(islice(batches(config, 0), STEPS))),
    )


def seen(config: Config) -> Examined:
    """What was seen of a configuration; it is examined if it has not been yet."""
    path = SEEN / f"{config.key}.msgpack"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".part")
        written.write_bytes(msgspec.msgpack.encode(examine(config)))
        written.replace(path)
    return msgspec.msgpack.decode(path.read_bytes(), type=Examined)
