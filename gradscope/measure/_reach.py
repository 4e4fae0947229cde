"""What the last layer can answer at all: the loss of the right values, brought into its range."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gradscope.schema import Estimate, LayerGraph, Subject

RANGES: dict[str, tuple[float, float]] = {
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
    "elu": (-1.0, math.inf),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "logsoftmax": (-math.inf, 0.0),
    "logsigmoid": (-math.inf, 0.0),
}
"""Least and largest value of each activation with its default arguments; whatever is not here reaches every value."""


def reachable_loss(subject: Subject, graph: LayerGraph, output: Tensor | None) -> Estimate:
    """Loss of the targets themselves, each moved to the nearest value that the last layer can give.

    Only of values: a classification is right where the right class is highest, whatever the range.
    """
    targets = subject.targets
    if output is None or not isinstance(targets, Tensor) or not targets.is_floating_point():
        return Estimate.unknown("needs targets that are values of the output")
    if targets.shape != output.shape:
        return Estimate.unknown("the targets are not values of the output")
    ends = {graph.nodes[i].op.lower().replace("_", "") for i in graph.outputs}
    low, high = RANGES.get(ends.pop(), (-math.inf, math.inf)) if len(ends) == 1 else (-math.inf, math.inf)
    answer = targets.to(output.dtype).clamp(low, high)
    try:
        with torch.no_grad():
            return Estimate.exact(subject.loss(answer, targets).item(), "loss of the nearest answer", len(targets))
    except Exception as error:  # the user's loss wants more of an output than its main tensor
        return Estimate.unknown(f"the loss of the nearest answer: {type(error).__name__}")
