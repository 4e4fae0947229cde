"""How outcomes become labels: each run's error is put between the reference and the trivial error of its task.

The score of an error is 0 at `REFERENCE` (what well-configured models reach in the same budget) and 1 at the error of
the best constant answer. It does not use the training loss, so that models with different losses, output activations
or target scales are judged alike. A run's score is that of its last `LAST` windows; a run that stopped being finite
has none. Then, over the learning rates of one optimizer (or of both):

* trains: some learning rate has a median score over seeds of at most `TRAINS`, and no seed of it above `HALFWAY`;
* never: no run of any learning rate and seed scores below `NEVER`;
* degraded: everything between, also where luck decides.

A configuration that never trains is exploding where most of its runs stopped being finite or ended worse than the
trivial answer by `WORSE`, and stuck where they sit at the trivial answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from tests.corpus.data import tensors
from tests.corpus.losses import trivial_error

if TYPE_CHECKING:
    from tests.corpus.config import Config
    from tests.corpus.store import Row

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

TRAINS, HALFWAY, NEVER = 0.25, 0.5, 0.85
LAST = 2
"""Windows that a run's final score averages."""

TREND = 4
"""Windows of a trend."""

PROGRESS = 0.03
"""Fall of the score over the last `TREND` windows, against the `TREND` before, that counts as improving."""

WORSE = 2.0
"""Times the trivial loss: where a run ends above it, it diverged."""


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
