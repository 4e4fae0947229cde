"""The record of a run that Jacobians are taken of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradscope.measure._tangents import Recording, Replay
from gradscope.pytree import main_tensor
from gradscope.schema import LayerCall


class Trace(Recording):
    """A run's torch calls, and where in them every layer's output stands; an observer of that run too."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[int, tuple[Tensor, int]] = {}  # layer -> its main output, number of steps before it

    def forward(self, layer: int, call: LayerCall) -> None:
        """Note what the layer has just computed."""
        tensor = main_tensor(call.output)
        if tensor is not None:
            self.outputs[layer] = tensor, len(self.steps)

    def backward(self, layer: int, gradient: Tensor) -> None:
        """Nothing: backward passes are made on demand."""

    def release(self) -> None:
        """Let go of the run: its autograd graph refers to its observer, and a cycle would keep all of it alive."""
        self.steps.clear()
        self.outputs.clear()

    def replay(self, sources: Sequence[int], end: int) -> Callable[[tuple[Tensor, ...]], Tensor]:
        """J v from the outputs of some layers to that of a later one."""
        tensor, stop = self.outputs[end]
        starts = [self.outputs[i] for i in sources]
        carry = Replay(self.steps[min(position for _, position in starts) : stop], tensor)
        return lambda v: carry({id(t): _laid_like(x, t) for (t, _), x in zip(starts, v, strict=True)})


def _laid_like(tangent: Tensor, tensor: Tensor) -> Tensor:
    """The tangent in its tensor's layout, which the calls that follow were made for."""
    return tangent if tangent.stride() == tensor.stride() else torch.empty_like(tensor).copy_(tangent)
