"""The loss at the start, the loss of a model that knows nothing, and how much the output says about the input."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gradscope.schema import Estimate, Subject


def expected_loss(subject: Subject, output: Tensor | None) -> Estimate:
    """Loss of an uninformed model: ln K for K classes; of the mean target for a regression; else unknown."""
    if subject.classes:
        return Estimate.exact(math.log(subject.classes), "ln(classes)")
    targets = subject.targets
    if (
        isinstance(targets, Tensor)
        and output is not None
        and targets.is_floating_point()
        and targets.shape == output.shape
    ):
        with torch.no_grad():
            return Estimate.exact(
                float(subject.loss(targets.mean(0, keepdim=True).expand_as(targets), targets)),
                "loss of the mean target",
            )
    return Estimate.unknown("this loss has no known value for an uninformed model")


def constant_loss(subject: Subject, output: Tensor | None) -> Estimate:
    """Least loss of an output that is the same for every sample, on the example targets.

    It is found by quasi-Newton steps on that one output from zero, without the model: the entropy of the labels for a
    cross-entropy, the variance of the targets for a squared error. `nonfinite` where it falls without end: such a
    loss is won without looking at the data.
    """
    if output is None or output.ndim == 0 or not output.is_floating_point() or not isinstance(subject.targets, Tensor):
        return Estimate.unknown("needs targets and an output with a batch dimension")
    constant = torch.zeros((1, *output.shape[1:]), dtype=output.dtype, device=output.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([constant], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")
    seen: list[float] = []

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        loss = subject.loss(constant.expand_as(output), subject.targets)
        loss.backward()
        seen.append(loss.item())
        return loss

    try:
        optimizer.step(evaluate)  # pyright: ignore[reportArgumentType]
        first = min(seen)
        optimizer.step(evaluate)  # pyright: ignore[reportArgumentType]
    except Exception as error:  # the user's loss wants more of an output than its main tensor
        return Estimate.unknown(f"the loss of a constant output: {type(error).__name__}")
    least = min(seen)
    if least < -_UNBOUNDED * abs(seen[0]):
        return Estimate.exact(-math.inf, "least loss of a constant output", len(subject.targets))
    if not first - least <= _SETTLED * abs(seen[0]):
        return Estimate.unknown("the least loss of a constant output is not soon found", "not-converged")
    return Estimate.exact(least, "least loss of a constant output", len(subject.targets))


_ITERATIONS = 20  # twice; of a problem that is convex for the usual losses
_SETTLED = 0.02  # of the loss of the output zero: what the second half may still win
_UNBOUNDED = 100  # times that loss below zero: the likelihood of a density may be negative, this is a wrong sign


def perfect_loss(subject: Subject, output: Tensor | None) -> Estimate:
    """Loss of an output that is right and sure: the targets themselves, or the best of a few scores of the right class.

    A loss that a constant output makes as small as this one teaches nothing about the data.
    """
    targets = subject.targets
    if output is None or not isinstance(targets, Tensor) or not output.is_floating_point():
        return Estimate.unknown("needs targets and a floating-point output")
    dimension = class_dimension(output, targets)
    if targets.is_floating_point() and targets.shape == output.shape:
        answers = [targets.to(output.dtype)]
    elif dimension is not None:
        labels = targets.clamp_min(0).unsqueeze(dimension)
        answers = [torch.full_like(output, wrong).scatter_(dimension, labels, right) for right, wrong in _SCORES]
    else:
        return Estimate.unknown("the targets are neither classes nor values of the output")
    try:
        with torch.no_grad():
            least = min(subject.loss(answer, targets).item() for answer in answers)
    except Exception as error:  # the user's loss wants more of an output than its main tensor
        return Estimate.unknown(f"the loss of the right answer: {type(error).__name__}")
    return Estimate.exact(least, "loss of the right answer", len(targets))


_SCORES = ((1.0, 0.0), (1.0, -1.0), (10.0, 0.0), (10.0, -10.0))
"""Outputs for the right class and for the others: values of one-hot targets, margins, logits."""


def class_dimension(output: Tensor, targets: Tensor) -> int | None:
    """The dimension of the output that integer targets index: the last or the second; None if neither fits."""
    if targets.is_floating_point() or targets.dtype == torch.bool or output.ndim < 2:
        return None
    fits = (d for d in (output.ndim - 1, 1) if targets.shape == output.shape[:d] + output.shape[d + 1 :])
    return next(fits, None)


def output_variation(output: Tensor | None, batch: int) -> Estimate:
    """Share of the output's second moment that differs between samples: sum |y_i - y|^2 / sum |y_i|^2, in 0..1.

    Zero means that the model predicts the same whatever it is shown.
    """
    if output is None or batch < 2 or output.shape[:1] != (batch,):
        return Estimate.unknown("needs a batch of two or more samples in the first dimension")
    y = output.detach().flatten(1).double()
    total = y.square().sum()
    if total == 0:
        return Estimate.exact(0.0, "measured", batch)
    return Estimate.exact(((y - y.mean(0)).square().sum() / total).item(), "measured", batch)
