"""The gradient that a loss sends into the output, and the loss itself, from the output's table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradscope.predict._axes import Array
from gradscope.predict._table import Table

# "unit" is a random direction of the output, <r, y> with r ~ N(0, 1); "projection" the mean of it over samples over
# the root of a sample's size; "cross-entropy" the mean over all rows of logits; "mse" the mean squared error against
# standard targets. A number is the second moment of a gradient of independent entries, whatever loss sent it.
Loss = Literal["unit", "projection", "cross-entropy", "mse"] | float

_HEADS = ("Linear", "linear", "Conv1d", "Conv2d", "LazyLinear", "mean", "Conv1D")  # operations that end in logits


@dataclass(frozen=True)
class Seed:
    """The gradient table at the output, the initial loss and the loss of a model that knows nothing."""

    gradient: Array
    initial_loss: float
    expected_loss: float


def cotangent(output: Table, loss: Loss) -> Seed:
    """What the loss sends back, with its own independent target for every row.

    cross-entropy over K classes, logits of variance v: the softmax has E sum p^2 ~ e^v / K as long as it is spread out,
    so E g^2 = (1 - 2 / K + E sum p^2) / (K rows^2); the loss is ln K + v / 2.
    mse against N(0, 1): g = 2 (y - t) / n, so E g^2 = 4 (q + 1) / n^2.
    """
    agreeing = np.zeros_like(output.second)
    agreeing[tuple(slice(len(a.groups)) for a in output.axes)] = 1.0
    if loss == "unit":
        return Seed(agreeing, math.nan, math.nan)
    if not isinstance(loss, str):
        return Seed(agreeing * loss, math.nan, math.nan)
    if loss == "projection":
        samples = output.shape[0] if output.shape else 1
        return Seed(agreeing / (output.size * samples), math.nan, math.nan)
    if loss == "mse":
        moment = output.second_moment
        gradient = 4.0 * (output.second + agreeing) / output.size**2
        return Seed(gradient, moment + 1.0, 1.0)
    classes = output.shape[-1] if len(output.shape) != 4 else output.shape[1]
    rows = output.size // classes
    variance = max(0.0, output.second_moment - output.average**2)
    concentration = min(1.0, math.exp(min(variance, 50.0)) / classes)
    scale = (1.0 - 2.0 / classes + concentration) / (classes * rows**2)
    return Seed(agreeing * scale, math.log(classes) + variance / 2, math.log(classes))


def natural_loss(
    shape: tuple[int, ...], inputs: Sequence[tuple[int, ...]], makers: Sequence[str], *, is_named: bool
) -> Loss:
    """Cross-entropy for what is called logits or comes unactivated out of a linear layer, else a projection.

    Args:
        shape: of the output.
        inputs: shapes of the inputs; an output like one of them is a reconstruction.
        makers: the operations that made the output.
        is_named: whether the model calls it logits.
    """
    is_head = any(maker in _HEADS for maker in makers) and shape not in inputs
    has_classes = len(shape) > 1 and (shape[-1] if len(shape) != 4 else shape[1]) > 1
    return "cross-entropy" if has_classes and (is_named or is_head) else "projection"
