"""What a training step costs, told by the size of the model and not by the clock: the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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

SMALL_STEP = 0.05
"""Seconds of one thread below which a training step gains nothing from more threads: they wait for each other, and on
a machine that others use, or that lends fewer cores than it shows, they wait ten times as long as they work."""


def step_seconds(nodes: Sequence[LayerNode], parameters: int) -> float:
    """Estimated time of one training step on one CPU thread."""
    operations = sum(2 * (node.fan_in or 0) * math.prod(node.shape) for node in nodes)
    elements = sum(math.prod(node.shape) for node in nodes)
    return PASSES * (operations / FLOPS + ELEMENT * elements + CALL * len(nodes)) + PARAMETER * parameters


@contextmanager
def threads_for(step: float) -> Iterator[None]:
    """Run inside on one thread if a training step takes `step` < SMALL_STEP seconds of one; as before otherwise."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if step < SMALL_STEP else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
