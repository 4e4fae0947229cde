"""A contest: short trainings of one model over optimizers, learning rates and seeds, and what they reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn
from torch.optim import Optimizer

from gradscope.batches import Batch
from gradscope.prescribe._budget import FINALISTS, SCREENING, Plan
from gradscope.prescribe._task import Task
from gradscope.prescribe._training import SETTINGS, Hooks, Setting, final, train, trainable
from gradscope.schema import Estimate, Trial

Tune = Callable[[nn.Module, Optimizer], None]
"""What is done to the optimizer of a model before the first step."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """What competes.

    Attributes:
        make: seed -> a fresh model.
        tune: what is done to its optimizer.
    """

    make: Callable[[int], nn.Module]
    tune: Tune = lambda model, optimizer: None

    def with_tune(self, more: Tune) -> Entrant:
        """The same, and something more done to the optimizer."""

        def both(model: nn.Module, optimizer: Optimizer) -> None:
            self.tune(model, optimizer)
            more(model, optimizer)

        return Entrant(self.make, both)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a model reached with its best setting.

    Attributes:
        setting: the best optimizer with its learning rate.
        rates: all learning rates that were tried with this optimizer.
        curves: losses step by step, a curve for each seed.
    """

    setting: Setting
    rates: tuple[float, ...]
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
            learning_rates=self.rates,
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

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Optimizers with learning rates that everything is tried with."""
        return SETTINGS[: self.plan.settings]

    def contest(self, entrant: Entrant, *, to_beat: float = math.inf, is_thorough: bool = False) -> Outcome:
        """Find the best setting on the first seed, and train with it on the others.

        Args:
            entrant: what competes.
            to_beat: on the first seed; what does not get below is not trained on the others.
            is_thorough: try every setting for all steps, not only those that did best in a few.
        """
        chosen = self.settings if is_thorough else self.screened(entrant)[:FINALISTS]
        curves = {setting: tuple(self.train(entrant, setting, self.first_seed)) for setting in chosen}
        best = min(curves, key=lambda setting: final(curves[setting]))
        rates = tuple(sorted(setting.rate for setting in self.settings if setting.method is best.method))
        more = self.seeds[1:] if final(curves[best]) <= to_beat else ()
        return Outcome(best, rates, (curves[best], *(tuple(self.train(entrant, best, seed)) for seed in more)))

    def screened(self, entrant: Entrant) -> list[Setting]:
        """The settings, best first, by what they reach in a fraction of the steps."""
        steps = max(1, self.plan.steps // SCREENING)
        reached = {s: final(self.train(entrant, s, self.first_seed, steps=steps)) for s in self.settings}
        return sorted(self.settings, key=reached.__getitem__)

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
