"""A handful of real training steps on copies of the model: what cannot be seen at rest shows when it moves."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from gradscope.batches import Batch, as_call, user_batches
from gradscope.borrow import seeded
from gradscope.pytree import main_tensor
from gradscope.schema import Attempt, Gap, Subject

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], float], Optimizer]] = {
    "sgd": lambda parameters, rate: SGD(parameters, rate, momentum=0.9),
    "adam": lambda parameters, rate: Adam(parameters, rate),
}

LADDER = {"adam": (4e-3, 1.6e-2), "sgd": (5e-2,)}
"""Learning rates that are attempted of each optimizer where the user names none; the first gets half of all steps."""

_DIVERGED = 1e30  # a loss beyond it is not trained on any further
_SHIFTS = (1 / 2, 1 / 3, 1 / 7)  # of the batch: whose targets other samples are given


@dataclass(frozen=True, slots=True)
class Recipe:
    """An optimizer, a learning rate and the steps it gets."""

    optimizer: str
    learning_rate: float
    steps: int


def recipes(optimizer: str | None, learning_rate: float | None, steps: int) -> tuple[Recipe, ...]:
    """What is attempted with so many steps in all.

    Args:
        optimizer: "sgd" or "adam"; both if None.
        learning_rate: the only one; a ladder if None.
        steps: of all attempts together.
    """
    chosen = [optimizer] if optimizer else list(LADDER)
    rates = [(name, rate) for name in chosen for rate in ((learning_rate,) if learning_rate else LADDER[name])]
    first = steps if len(rates) == 1 else steps // 2
    rest = (steps - first) // max(1, len(rates) - 1)
    return tuple(Recipe(name, rate, rest if i else first) for i, (name, rate) in enumerate(rates))


def attempts(subject: Subject, wanted: Sequence[Recipe]) -> tuple[tuple[Attempt, ...], tuple[Gap, ...]]:
    """Try each recipe on a copy of its own; the subject's model is only copied.

    The steps are on the user's batches, each one new, or else on the example batch again and again.

    Returns:
        The attempts, or none and why: some models can be measured and neither copied nor trained.
    """
    try:
        return tuple(_attempt(subject, recipe, _batches(subject, recipe.steps)) for recipe in wanted), ()
    except Exception as error:  # the user's code: copying, batches, forward, loss or backward
        reason = (str(error).splitlines() or [""])[0]
        return (), (Gap("trial steps", f"{type(error).__name__}: {reason}"),)


def _batches(subject: Subject, steps: int) -> list[Batch]:
    if subject.batches is None:
        return [Batch(subject.args, dict(subject.kwargs), subject.targets)]
    given = user_batches(subject, subject.info.seed, most=steps)
    return [Batch(*as_call(inputs), targets) for inputs, targets in given]


def _attempt(subject: Subject, recipe: Recipe, batches: Sequence[Batch]) -> Attempt:
    rows: list[tuple[float, ...]] = []
    with seeded(subject.info.seed), torch.enable_grad():
        model = subject.rebuild() if subject.rebuild is not None else copy.deepcopy(subject.model)
        model.train(subject.info.training)
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = OPTIMIZERS[recipe.optimizer](parameters, recipe.learning_rate)
        for step in range(recipe.steps):
            batch = batches[step % len(batches)].cloned()
            optimizer.zero_grad(set_to_none=True)
            output = model(*batch.args, **batch.kwargs)
            loss = subject.loss(output, batch.targets)
            rows.append((loss.item(), *_knowledge(subject.loss, output, batch.targets)))
            if not abs(rows[-1][0]) <= _DIVERGED:
                break
            loss.backward()
            optimizer.step()
    losses, mismatched, errors, mismatched_errors = zip(*rows, strict=True)
    is_known, has_errors = math.isfinite(mismatched[0]), math.isfinite(errors[0])
    return Attempt(
        optimizer=recipe.optimizer,
        learning_rate=recipe.learning_rate,
        asked=recipe.steps,
        losses=losses,
        mismatched=mismatched if is_known else (),
        errors=errors if has_errors else (),
        mismatched_errors=mismatched_errors if has_errors else (),
        is_real=subject.batches is not None,
    )


@torch.no_grad()
def _knowledge(loss: Callable[[Any, Any], Tensor], output: Any, targets: Any) -> tuple[float, float, float]:
    """Loss with other samples' targets, error with the right ones, error with other samples'; NaN where unknown."""
    if not isinstance(targets, Tensor) or targets.ndim == 0 or len(targets) < 2:
        return math.nan, math.nan, math.nan
    others = [targets.roll(max(1, int(share * len(targets))), 0) for share in _SHIFTS]
    mismatched = sum(loss(output, other).item() for other in others) / len(others)
    error = _error(main_tensor(output), targets)
    return mismatched, error, sum(_error(main_tensor(output), other) for other in others) / len(others)


def _error(output: Tensor | None, targets: Tensor) -> float:
    """Share of wrong classes, or mean squared error; NaN if the shapes say that it is neither."""
    if output is None or not output.is_floating_point():
        return math.nan
    if targets.is_floating_point():
        return (output - targets).square().mean().item() if output.shape == targets.shape else math.nan
    for dimension in (output.ndim - 1, 1):
        if output.ndim > 1 and targets.shape == output.shape[:dimension] + output.shape[dimension + 1 :]:
            is_counted = targets >= 0  # negative labels are left out by convention
            wrong = (output.argmax(dimension) != targets)[is_counted]
            return wrong.double().mean().item()
    return math.nan
