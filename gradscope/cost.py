"""What a training step costs, told by the size of the model and not by the clock: the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradscope.schema import LayerNode

FLOPS = 1e11
"""Floating-point operations a second of one CPU thread; with the three below, what makes the budget seconds."""

ELEMENT = 5e-10
"""Seconds to read and write one number of an activation."""

CALL = 2e-5
"""Seconds to start one layer, however small it is."""

PARAMETER = 3e-9
"""Seconds that an optimizer step costs a parameter."""

PASSES = 3
"""A backward pass costs twice a forward pass."""


def step_seconds(nodes: Sequence[LayerNode], parameters: int) -> float:
    """Estimated time of one training step on one CPU thread."""
    operations = sum(2 * (node.fan_in or 0) * math.prod(node.shape) for node in nodes)
    elements = sum(math.prod(node.shape) for node in nodes)
    return PASSES * (operations / FLOPS + ELEMENT * elements + CALL * len(nodes)) + PARAMETER * parameters
