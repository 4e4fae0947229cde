"""The observer of a run, and how the gradients of a later backward pass get to it."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from gradscope.schema import LayerCall


class Observer(Protocol):
    """Looks at every layer while it runs; it must not modify what it is shown."""

    def forward(self, layer: int, call: LayerCall) -> None:
        """The layer with this index has just computed `call.output`."""
        ...

    def backward(self, layer: int, gradient: Tensor) -> None:
        """The gradient of the loss with respect to the layer's main output."""
        ...


class Gradients:
    """Hands the gradients of layers to the observer.

    It is closed during the run: a model that differentiates inside its own forward must not be mistaken for
    the backward pass. It must not hold the tape, which holds the autograd nodes that hold these hooks.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.is_open = False

    def watch(self, layer: int, edge: Any) -> None:
        """Wait for the gradient that arrives at this autograd edge."""
        edge.node.register_prehook(partial(self._arrived, layer, edge.output_nr))

    def _arrived(self, layer: int, output: int, gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[output]
        if self.is_open and gradient is not None:
            with torch.no_grad():
                self._observer.backward(layer, gradient)


def show(observer: Observer, layer: int, call: LayerCall) -> None:
    """Let the observer look at a layer, whatever autograd modes and hooks the model has set around it."""
    hooks = torch.autograd.graph.saved_tensors_hooks(_unchanged, _unchanged)  # a checkpoint counts what it saves
    with torch.no_grad(), hooks:
        observer.forward(layer, call)


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor
