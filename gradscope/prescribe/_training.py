"""One short training: a fresh model, an optimizer, and the loss of every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from gradscope.batches import Batch
from gradscope.borrow import seeded

DIVERGED = 1e9
"""Times the first loss, or one if that is less: from there no short training comes back."""


@dataclass(frozen=True, slots=True)
class Method:
    """An optimizer.

    Attributes:
        name: for the report.
        build: (parameters, learning rate) -> optimizer.
        first_rate: where a search for its learning rate starts.
    """

    name: str
    build: Callable[[Iterable[nn.Parameter], float], Optimizer]
    first_rate: float


MOMENTUM = Method("SGD with momentum 0.9", lambda parameters, rate: SGD(parameters, rate, momentum=0.9), 2.0**-8)
ADAM = Method("Adam", lambda parameters, rate: Adam(parameters, rate), 2.0**-10)


@dataclass(frozen=True, slots=True)
class Setting:
    """An optimizer with a learning rate."""

    method: Method
    rate: float


SETTINGS = (
    *(Setting(ADAM, 1e-3), Setting(MOMENTUM, 1e-2), Setting(ADAM, 1e-4)),
    *(Setting(MOMENTUM, 1e-1), Setting(ADAM, 1e-2), Setting(MOMENTUM, 1e-3)),
)
"""What a short training is tried with, the usual first."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is done to a training on the way.

    Attributes:
        before_step: called with the model and the number of the step between `backward()` and `step()`.
        factor: number of the step -> what its loss is multiplied by before `backward()`.
        context: makes what the forward pass and the loss run in.
    """

    before_step: Callable[[nn.Module, int], None] = lambda model, step: None
    factor: Callable[[int], float] = lambda step: 1.0
    context: Callable[[], AbstractContextManager[Any]] = nullcontext


def train(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Sequence[Batch],
    loss: Callable[[Any, Any], Tensor],
    *,
    steps: int,
    seed: int,
    hooks: Hooks | None = None,
) -> list[float]:
    """Train in place and return the loss of every step; infinite from where it diverges.

    Args:
        model: trained in place.
        optimizer: over its parameters.
        batches: used in turn, again and again.
        loss: (output, targets) -> scalar.
        steps: how many.
        seed: of dropout and whatever else the model draws.
        hooks: what is done on the way.
    """
    hooks = hooks or Hooks()
    losses: list[float] = []
    with seeded(seed), torch.enable_grad():
        for step in range(steps):
            batch = batches[step % len(batches)].cloned()
            optimizer.zero_grad(set_to_none=True)
            with hooks.context():
                value = loss(model(*batch.args, **batch.kwargs), batch.targets)
            losses.append(value.item())
            if not abs(losses[-1]) <= DIVERGED * max(1.0, abs(losses[0])):
                return [*losses[:-1], *[math.inf] * (steps - step)]
            (value * hooks.factor(step)).backward()
            hooks.before_step(model, step)
            optimizer.step()
    return losses


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimizer is given."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def final(losses: Sequence[float]) -> float:
    """Mean loss of the last sixth of the steps."""
    tail = losses[-max(1, len(losses) // 6) :]
    return sum(tail) / len(tail)
