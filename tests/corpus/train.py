"""What training really does: each configuration under SGD and Adam, a ladder of learning rates and several seeds."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from tests.corpus.config import Config
from tests.corpus.data import tensors
from tests.corpus.fleet import Fleet, Recipe, keep, launch, step
from tests.corpus.labels import Scale, has_learned, is_improving, scale_of
from tests.corpus.losses import LOSSES
from tests.corpus.store import Row, Run

LADDER = {"sgd": (0.001, 0.01, 0.05, 0.25), "adam": (0.0003, 0.001, 0.004, 0.016)}
"""Learning rates; SGD has momentum 0.9, see `fleet`."""

SEEDS = (0, 1, 2)
WINDOW = 25
"""Steps that one point of a curve averages."""

STEPS = 400
"""Budget of a run. One that has learned stops earlier, one that is no longer finite too."""

OUTDONE = 250
"""Budget of a run once another learning rate of the same optimizer has learned with every seed."""

LONGEST = 1200
"""Budget of a run that is still improving at `STEPS` and is not outdone."""


class Batches:
    """Batches drawn with replacement: one order a seed, the same for every recipe of that seed."""

    def __init__(self, config: Config) -> None:
        self.inputs, self.targets = tensors(config.task, config.inputs, config.targets)
        self.size = config.batch_size
        self.generators = {seed: torch.Generator().manual_seed(config.seed(seed)) for seed in SEEDS}

    def draw(self, recipes: tuple[Recipe, ...]) -> tuple[Tensor, Tensor]:
        """Inputs and targets, each (runs, batch, ...)."""
        draws = {s: torch.randint(len(self.inputs), (self.size,), generator=g) for s, g in self.generators.items()}
        rows = torch.stack([draws[recipe.seed] for recipe in recipes])
        return self.inputs[rows], self.targets[rows]


def train(config: Config, *, steps: int = STEPS, longest: int = LONGEST) -> Row:
    """Every run of a configuration, each trained until it learned, broke or spent its steps.

    Args:
        config: what to train.
        steps: budget of a run.
        longest: budget of a run that is still improving.
    """
    recipes = tuple(Recipe(name, rate, seed) for name, rates in LADDER.items() for rate in rates for seed in SEEDS)
    models = {seed: config.build(seed) for seed in SEEDS}
    curves: dict[Recipe, tuple[list[float], list[float]]] = {recipe: ([], []) for recipe in recipes}
    scale, batches = scale_of(config), Batches(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed(0))  # for dropout
        fleet = launch(models, recipes)
        while fleet.recipes and fleet.steps < longest:
            fleet = _window(fleet, batches, config, curves)
            fleet = keep(fleet, _unfinished(fleet, curves, scale, steps))
    return Row(
        family=config.family,
        name=config.name,
        task=config.task,
        loss=config.loss,
        inputs=config.inputs,
        targets=config.targets,
        batch_size=config.batch_size,
        parameters=sum(parameter.numel() for parameter in models[0].parameters()),
        runs=tuple(
            Run(recipe.optimizer, recipe.learning_rate, recipe.seed, WINDOW * len(loss), tuple(loss), tuple(error))
            for recipe, (loss, error) in curves.items()
        ),
    )


def _window(
    fleet: Fleet, batches: Batches, config: Config, curves: dict[Recipe, tuple[list[float], list[float]]]
) -> Fleet:
    """Take `WINDOW` steps and append the mean loss and error of each run to its curves."""
    losses, errors = [], []
    for _ in range(WINDOW):
        fleet, loss, error = step(fleet, LOSSES[config.loss], *batches.draw(fleet.recipes))
        losses.append(loss)
        errors.append(error)
    means = torch.stack([torch.stack(losses), torch.stack(errors)]).mean(1)  # (2, runs)
    for recipe, loss, error in zip(fleet.recipes, *means.tolist(), strict=True):
        curves[recipe][0].append(loss)
        curves[recipe][1].append(error)
    return fleet


def _unfinished(
    fleet: Fleet, curves: dict[Recipe, tuple[list[float], list[float]]], scale: Scale, steps: int
) -> list[int]:
    """The rows that go on: finite, not learned, and within their budget or still improving."""
    learned = Counter((r.optimizer, r.learning_rate) for r, (_, error) in curves.items() if has_learned(error, scale))
    solved = {optimizer for (optimizer, _), seeds in learned.items() if seeds == len(SEEDS)}
    rows = []
    for row, recipe in enumerate(fleet.recipes):
        loss, error = curves[recipe]
        if not math.isfinite(loss[-1]) or has_learned(error, scale):
            continue
        if recipe.optimizer in solved:
            goes_on = fleet.steps < OUTDONE
        else:
            goes_on = fleet.steps < steps or is_improving(error, scale)
        if goes_on:
            rows.append(row)
    return rows
