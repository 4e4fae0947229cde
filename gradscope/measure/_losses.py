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
    cross-entropy, the variance of the targets for a squared error. Unknown where the loss has no minimum there.
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
        best = min(seen)
        optimizer.step(evaluate)  # pyright: ignore[reportArgumentType]
    except Exception as error:  # the user's loss wants more of an output than its main tensor
        return Estimate.unknown(f"the loss of a constant output: {type(error).__name__}")
    is_settled = abs(best - min(seen)) <= _SETTLED * abs(seen[0])
    if not is_settled or min(seen) < -_UNBOUNDED * abs(seen[0]):
        return Estimate.unknown("the loss of a constant output has no minimum that is soon found")
    return Estimate.exact(min(seen), "least loss of a constant output", len(subject.targets))


_ITERATIONS = 20  # twice; of a problem that is convex for the usual losses
_SETTLED = 0.02  # of the loss of the output zero: what the second half may still win
_UNBOUNDED = 100  # times that loss below zero: a likelihood of a density may be negative, this is a wrong sign


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
