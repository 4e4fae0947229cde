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
