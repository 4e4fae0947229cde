"""The gradient that a loss sends into the output, and the loss itself, from the output's table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradscope.predict._axes import Array
from gradscope.predict._table import Table

Loss = Literal["unit", "cross-entropy", "mse"]


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
