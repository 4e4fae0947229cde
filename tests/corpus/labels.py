"""How outcomes become labels: trains, degraded or never, against the reference and the trivial error of the task.

The score of an error is 0 at `REFERENCE` (what well-configured models reach in the same budget) and 1 at the error of
the best constant answer. It does not use the training loss, so that models with different losses, output activations
or target scales are judged alike. A run's score is that of its last `LAST` windows; one that stopped being finite has
the score infinity. Over the learning rates of one optimizer, or of both:

* trains: some learning rate has a median score over seeds of at most `TRAINS`, and no seed of it above `HALFWAY`;
* never: no learning rate has a median score below `NEVER`, and no single run one below `LUCKY`;
* degraded: everything between: slow, half learned, or dependent on the seed.

A configuration that never trains is exploding where at least half of the runs at each optimizer's lowest learning rate
diverged (ended not finite, or above `WORSE` times what the answer zero gets), and stuck otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING, Literal

from tests.corpus.data import task, tensors
from tests.corpus.losses import trivial_error

if TYPE_CHECKING:
    from tests.corpus.config import Config
    from tests.corpus.store import Row, Run

REFERENCE = {
    "digits": 0.05,
    "digits-image": 0.05,
    "digits-rows": 0.08,
    "digits-rows-lag8": 0.08,
    "digits-rows-lag24": 0.08,
    "digits-rows-lag48": 0.08,
    "digits-autoencoder": 0.23,
    "cancer": 0.02,
    "wine": 0.01,
    "diabetes": 0.2,
    "text": 0.64,
}
"""Error that the family "reference" reaches: share of wrong classes, or share of the targets' variance."""

LEARNED = 0.1
"""Score at which a run needs no more training, in each of its last two windows."""

TRAINS, HALFWAY = 0.25, 0.5
NEVER, LUCKY = 0.85, 0.7
LAST = 2
"""Windows that a run's final score averages."""

TREND = 4
"""Windows of a trend."""

PROGRESS = 0.03
"""Fall of the score over the last `TREND` windows, against the `TREND` before, that counts as improving."""

WORSE = 2.0
"""Times what the answer zero gets: the mean square of values, or log(classes) under cross-entropy."""

Outcome = Literal["trains", "degraded", "never"]


@dataclass(frozen=True, slots=True)
class Scale:
    """The two ends of the score."""

    reference: float
    trivial: float

    def score(self, error: float) -> float:
        """0 at the reference, 1 at the trivial error."""
        return (error - self.reference) / (self.trivial - self.reference)


def scale_of(config: Config | Row) -> Scale:
    """The scale of a configuration's task, in the units of its targets."""
    _, targets = tensors(config.task, config.inputs, config.targets)
    trivial = trivial_error(targets)
    unit = trivial if targets.is_floating_point() else 1.0
    return Scale(REFERENCE[config.task] * unit, trivial)


def has_learned(errors: Sequence[float], scale: Scale) -> bool:
    """Whether a run may stop."""
    return len(errors) > 1 and all(scale.score(error) <= LEARNED for error in errors[-2:])


def is_improving(errors: Sequence[float], scale: Scale) -> bool:
    """Whether a run deserves more steps."""
    if len(errors) < 2 * TREND:
        return True
    return scale.score(mean(errors[-2 * TREND : -TREND])) - scale.score(mean(errors[-TREND:])) > PROGRESS


@dataclass(frozen=True, slots=True)
class Label:
    """What became of a configuration.

    Attributes:
        outcome: with the better of both optimizers.
        mechanism: why it never trains, None where it does.
        by_optimizer: the outcome of each optimizer alone.
        by_rate: the same for each (optimizer, learning rate).
        score: the best median score over seeds of any learning rate; infinity where none stayed finite.
    """

    outcome: Outcome
    mechanism: Literal["exploding", "stuck"] | None
    by_optimizer: dict[str, Outcome]
    by_rate: dict[tuple[str, float], Outcome]
    score: float


def label(row: Row) -> Label:
    """The label of a stored configuration."""
    scale = scale_of(row)
    by_rate: dict[tuple[str, float], list[float]] = {}
    for run in row.runs:
        by_rate.setdefault((run.optimizer, run.learning_rate), []).append(final_score(run, scale))
    by_optimizer = {name: [s for (o, _), s in by_rate.items() if o == name] for name, _ in by_rate}
    result = outcome(by_rate.values())
    return Label(
        outcome=result,
        mechanism=_mechanism(row) if result == "never" else None,
        by_optimizer={name: outcome(scores) for name, scores in by_optimizer.items()},
        by_rate={rate: outcome([scores]) for rate, scores in by_rate.items()},
        score=min(median(scores) for scores in by_rate.values()),
    )


def final_score(run: Run, scale: Scale) -> float:
    """The score of a run's end, infinity where it is not finite."""
    last = [error for error in run.error[-LAST:] if error is not None]
    is_complete = run.is_finite and len(last) == len(run.error[-LAST:])
    return scale.score(mean(last)) if is_complete else math.inf


def outcome(scores: Iterable[Sequence[float]]) -> Outcome:
    """The outcome of some learning rates.

    Args:
        scores: for each learning rate, the final score of each seed.
    """
    scores = list(scores)
    if any(median(seeds) <= TRAINS and max(seeds) <= HALFWAY for seeds in scores):
        return "trains"
    is_never = all(median(seeds) >= NEVER and min(seeds) >= LUCKY for seeds in scores)
    return "never" if is_never else "degraded"


def _mechanism(row: Row) -> Literal["exploding", "stuck"]:
    lowest = {
        optimizer: min(r.learning_rate for r in row.runs if r.optimizer == optimizer) for optimizer in ("sgd", "adam")
    }
    slow = [run for run in row.runs if run.learning_rate == lowest[run.optimizer]]
    return "exploding" if sum(_has_diverged(run, row) for run in slow) >= len(slow) / 2 else "stuck"


def _has_diverged(run: Run, row: Row) -> bool:
    loss, error = run.loss[-1], run.error[-1]
    if not run.is_finite or loss is None or error is None:
        return True
    _, targets = tensors(row.task, row.inputs, row.targets)
    if targets.is_floating_point():
        return error > WORSE * targets.square().mean().item()
    return row.loss == "cross-entropy" and loss > WORSE * math.log(task(row.task).classes)
