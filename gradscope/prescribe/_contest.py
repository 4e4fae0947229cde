"""A contest: short trainings of one model over optimizers, learning rates and seeds, and what they reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn
from torch.optim import Optimizer

from gradscope.prescribe._budget import Plan
from gradscope.prescribe._task import Batch, Task
from gradscope.prescribe._training import METHODS, Hooks, Method, final, train, trainable
from gradscope.schema import Estimate, Trial


@dataclass(frozen=True, slots=True)
class Entrant:
    """What competes.

    Attributes:
        make: seed -> a fresh model.
        tune: what is done to the model's optimizer before the first step.
    """

    make: Callable[[int], nn.Module]
    tune: Callable[[nn.Module, Optimizer], None] = lambda model, optimizer: None


@dataclass(frozen=True, slots=True)
class Setting:
    """An optimizer with a learning rate."""

    method: Method
    rate: float


SETTINGS = tuple(Setting(method, rate) for method in METHODS for rate in method.rates)

SCREENING = 3
"""All settings are tried for this fraction of the steps."""

FINALISTS = 2
"""Settings that are tried for all of them."""

TRAININGS = len(SETTINGS) / SCREENING + FINALISTS
"""Trainings of full length that a contest costs on its first seed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a model reached with its best setting; one curve of losses a seed."""

    setting: Setting
    curves: tuple[tuple[float, ...], ...]

    @property
    def finals(self) -> tuple[float, ...]:
        return tuple(final(curve) for curve in self.curves)

    @property
    def mean(self) -> float:
        return sum(self.finals) / len(self.finals)

    def trial(self) -> Trial:
        """The outcome as a record of the report."""
        return Trial(
            optimizer=self.setting.method.name,
            steps=len(self.curves[0]),
            seeds=len(self.curves),
            learning_rates=self.setting.method.rates,
            best_learning_rate=self.setting.rate,
            initial_loss=_over_seeds([curve[0] for curve in self.curves]),
            final_loss=_over_seeds(self.finals),
            curve=self.curves[0],
        )


@dataclass(frozen=True)
class Arena:
    """Where models compete: the same batches, steps and settings for each."""

    task: Task
    plan: Plan
    first_seed: int
    _pools: dict[int, list[Batch]] = field(default_factory=dict)

    @property
    def seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.plan.seeds)

    @property
    def words(self) -> str:
        """What is learned, and for how long if that is less than usual."""
        return (
            f"{self.task.words}; only {self.plan.steps} steps fit the budget" if self.plan.is_cut else self.task.words
        )

    def contest(self, entrant: Entrant, *, to_beat: float = math.inf, finalists: int = FINALISTS) -> Outcome:
        """Find the best setting on the first seed, and train with it on the others.

        Args:
            entrant: what competes.
            to_beat: on the first seed; a model that does not get below is not trained on the others.
            finalists: settings that are tried for all steps.
        """
        chosen = SETTINGS if finalists >= len(SETTINGS) else self.screened(entrant)[:finalists]
        curves = {setting: self.train(entrant, setting, self.first_seed) for setting in chosen}
        best = min(curves, key=lambda setting: final(curves[setting]))
        more = self.seeds[1:] if final(curves[best]) <= to_beat else ()
        others = [self.train(entrant, best, seed) for seed in more]
        return Outcome(best, (tuple(curves[best]), *map(tuple, others)))

    def screened(self, entrant: Entrant) -> list[Setting]:
        """The settings, best first, by what they reach in a fraction of the steps."""
        steps = max(1, self.plan.steps // SCREENING)
        reached = {setting: final(self.train(entrant, setting, self.first_seed, steps=steps)) for setting in SETTINGS}
        return sorted(SETTINGS, key=reached.__getitem__)

    def train(
        self, entrant: Entrant, setting: Setting, seed: int, *, steps: int = 0, hooks: Hooks | None = None
    ) -> list[float]:
        """The losses of one training of a fresh model, of as many steps as planned unless told otherwise."""
        steps = steps or self.plan.steps
        model = entrant.make(seed)
        optimizer = setting.method.build(trainable(model), setting.rate)
        entrant.tune(model, optimizer)
        return train(model, optimizer, self.batches(seed), self.task.loss, steps=steps, seed=seed, hooks=hooks)

    def batches(self, seed: int) -> list[Batch]:
        """The batches of a seed, made once."""
        if seed not in self._pools:
            self._pools[seed] = self.task.batches(seed, self.plan.steps)
        return self._pools[seed]


def _over_seeds(values: Sequence[float]) -> Estimate:
    if not all(map(math.isfinite, values)):
        return Estimate(math.inf, min(values), math.inf, "short training", len(values), "nonfinite")
    return Estimate(sum(values) / len(values), min(values), max(values), "short training", len(values))
