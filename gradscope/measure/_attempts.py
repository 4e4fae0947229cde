"""A handful of real training steps on copies of the model: what cannot be seen at rest shows when it moves."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from gradscope.batches import Batch, as_call, user_batches
from gradscope.borrow import seeded
from gradscope.learning import has_diverged, has_learned
from gradscope.measure._losses import class_dimension
from gradscope.pytree import main_tensor
from gradscope.schema import Attempt, Gap, Subject

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], float], Optimizer]] = {
    "sgd": lambda parameters, rate: SGD(parameters, rate, momentum=0.9),
    "adam": lambda parameters, rate: Adam(parameters, rate),
}

FIRST, LOWER, OTHER = ("adam", 4e-3), ("adam", 1e-3), ("sgd", 5e-2)
"""What is attempted first where the user names nothing; next where that diverged; next where it learned."""

_FIRST_SHARE = 0.6  # of all steps, before it is decided what the others are for
_DIVERGED = 1e30  # a loss beyond it is not trained on any further
_SHIFTS = 8  # ways in which targets are exchanged between samples


def attempts(
    subject: Subject, *, steps: int, optimizer: str | None = None, learning_rate: float | None = None
) -> tuple[tuple[Attempt, ...], tuple[Gap, ...]]:
    """Train copies for so many steps in all; the subject's model itself is only copied.

    The steps are on the user's batches, each one new, or else on the example batch again and again. Where the user
    names a learning rate, all steps are taken with it. Else Adam begins; if it diverges the rest is taken at a lower
    learning rate, if it learns with SGD (or, where only one optimizer is asked for, not at all), and if neither is
    plain it goes on.

    Args:
        subject: what is copied.
        steps: forward and backward passes that all attempts may take together.
        optimizer: "sgd" or "adam"; both if None.
        learning_rate: the only one; chosen if None.

    Returns:
        The attempts, or none and why: some models can be measured and neither copied nor trained.
    """
    try:
        return tuple(_attempts(subject, steps, optimizer, learning_rate)), ()
    except Exception as error:  # the user's code: copying, batches, forward, loss or backward
        reason = (str(error).splitlines() or [""])[0]
        return (), (Gap("trial steps", f"{type(error).__name__}: {reason}"),)


def _attempts(subject: Subject, steps: int, optimizer: str | None, rate: float | None) -> Iterator[Attempt]:
    batches = _batches(subject, steps)
    if rate is not None:
        names = [optimizer] if optimizer else list(OPTIMIZERS)
        for name in names:
            yield _Training(subject, name, rate).run(batches, steps // len(names))
        return
    first = OTHER if optimizer == "sgd" else FIRST
    training = _Training(subject, *first)
    head = int(_FIRST_SHARE * steps)
    tried = training.run(batches, head)
    if has_diverged(tried):
        yield tried
        name, lower = first[0], LOWER[1] if first[0] == LOWER[0] else first[1] / 10
        yield _Training(subject, name, lower).run(batches, steps - head)
    elif has_learned(tried):
        yield tried
        if optimizer is None:
            yield _Training(subject, *OTHER).run(batches, steps - head)
    else:
        yield training.run(batches, steps - head)


def _batches(subject: Subject, steps: int) -> list[Batch]:
    if subject.batches is None:
        return [Batch(subject.args, dict(subject.kwargs), subject.targets)]
    given = user_batches(subject, subject.info.seed, most=steps)
    return [Batch(*as_call(inputs), targets) for inputs, targets in given]


class _Training:
    """A copy of the model in training; `run` takes it further.

    Args:
        subject: what is copied.
        optimizer: a key of `OPTIMIZERS`.
        rate: learning rate.
    """

    def __init__(self, subject: Subject, optimizer: str, rate: float) -> None:
        self._subject = subject
        with seeded(subject.info.seed):
            self._model = subject.rebuild() if subject.rebuild is not None else copy.deepcopy(subject.model)
        self._model.train(subject.info.training)
        self._optimizer = OPTIMIZERS[optimizer]([p for p in self._model.parameters() if p.requires_grad], rate)
        self._rows: list[tuple[float, ...]] = []
        self._so_far = Attempt(optimizer, rate, 0, (), is_real=subject.batches is not None)

    def run(self, batches: Sequence[Batch], steps: int) -> Attempt:
        """Take more steps, and return all that were taken so far."""
        begin, end = self._so_far.asked, self._so_far.asked + steps
        with seeded(self._subject.info.seed + begin), torch.enable_grad():
            for step in range(begin, end):
                self._step(batches[step % len(batches)].cloned())
                if not abs(self._rows[-1][0]) <= _DIVERGED:
                    break
        columns = [tuple(column) for column in zip(*self._rows, strict=True)]
        columns[1:] = [column if math.isfinite(column[0]) else () for column in columns[1:]]
        losses, mismatched, errors, mismatched_errors = columns
        self._so_far = replace(
            self._so_far,
            asked=end,
            losses=losses,
            mismatched=mismatched,
            errors=errors,
            mismatched_errors=mismatched_errors,
        )
        return self._so_far

    def _step(self, batch: Batch) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        output = self._model(*batch.args, **batch.kwargs)
        loss = self._subject.loss(output, batch.targets)
        self._rows.append((loss.item(), *_knowledge(self._subject.loss, output, batch.targets)))
        if abs(self._rows[-1][0]) <= _DIVERGED:
            loss.backward()
            self._optimizer.step()


@torch.no_grad()
def _knowledge(loss: Callable[[Any, Any], Tensor], output: Any, targets: Any) -> tuple[float, float, float]:
    """Loss with other samples' targets, error with the right ones, error with other samples'; NaN where unknown."""
    if not isinstance(targets, Tensor) or targets.ndim == 0 or len(targets) < 2:
        return math.nan, math.nan, math.nan
    stride = max(1, (len(targets) - 1) // _SHIFTS)
    others = [targets.roll(shift, 0) for shift in range(1, len(targets), stride)][:_SHIFTS]
    mismatched = sum(loss(output, other).item() for other in others) / len(others)
    main = main_tensor(output)
    return mismatched, _error(main, targets), sum(_error(main, other) for other in others) / len(others)


def _error(output: Tensor | None, targets: Tensor) -> float:
    """Share of wrong classes, or mean squared error; NaN if the shapes say that it is neither."""
    if output is None or not output.is_floating_point():
        return math.nan
    if targets.is_floating_point():
        return (output - targets).square().mean().item() if output.shape == targets.shape else math.nan
    dimension = class_dimension(output, targets)
    if dimension is None:
        return math.nan
    wrong = (output.argmax(dimension) != targets)[targets >= 0]  # negative labels are left out by convention
    return wrong.double().mean().item()
