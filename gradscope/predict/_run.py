"""The two halves of a prediction: tables forward through the model's own code, and gradients back along them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradscope.predict._flow import propagate
from gradscope.predict._inputs import meta_input
from gradscope.predict._layers import Layers
from gradscope.predict._loss import Loss, cotangent, natural_loss
from gradscope.predict._plan import Plan
from gradscope.predict._profile import assemble
from gradscope.predict._trace import TooSlow, Trace
from gradscope.pytree import main_tensor, tensors_in
from gradscope.schema import GradscopeError, Profile

__all__ = ["Forward", "TooSlow", "forward", "loss_of", "measured_loss", "profile"]


@dataclass(frozen=True, eq=False)
class Forward:
    """A model that has been run on tables.

    Attributes:
        plan: the model.
        returned: what it returned, on the meta device.
        output: the floating-point tensor of it that a loss is put on.
        layers: its layers, in order of execution.
        trace: the tables of its tensors.
    """

    plan: Plan
    returned: Any
    output: Tensor
    layers: Layers
    trace: Trace

    @property
    def outputs(self) -> tuple[int, ...]:
        """Indices of the layers that made what the model returned, those of the main output first."""
        return tuple(sorted(frozenset().union(*(_sources(t) for t in tensors_in(self.returned)))))

    @property
    def natural_loss(self) -> Loss:
        """What such an output is usually trained with."""
        makers = [self.layers.list[i].op for i in _sources(self.output)]
        inputs = [layer.shape for layer in self.layers.list if layer.kind == "input"]
        is_named = self.output is _logits(self.returned)
        return natural_loss(tuple(self.output.shape), inputs, makers, is_named=is_named)


def forward(
    plan: Plan, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, *, seconds: float | None = None
) -> Forward:
    """Run the model's own forward on the meta device with a moment table beside every tensor.

    Args:
        plan: the model; it runs in the mode (training or not) that it is in.
        args, kwargs: integer and boolean tensors must be real; a real floating-point tensor counts with its own
            moments, one on the meta device as standard normal, a `Signal` with those it states.
        seconds: CPU time after which to give up.

    Raises:
        GradscopeError: the model returns no floating-point tensor.
        TooSlow: the time is over.
        Whatever the model raises when it runs on the meta device.
    """
    for tensor in (*plan.model.parameters(), *plan.model.buffers()):
        if hasattr(tensor, "_moments"):  # of an earlier run, with its gradients
            del tensor._moments  # pyright: ignore[reportAttributeAccessIssue]
    trace = Trace(plan.initial, None if seconds is None else time.thread_time() + seconds)
    layers = Layers(plan.model, trace.find_table, trace.know_numbers)
    args = tuple(meta_input(value, trace) for value in args)
    named = {name: meta_input(value, trace) for name, value in (kwargs or {}).items()}
    for i, tensor in enumerate(tensors_in(args)):
        layers.add_input(tensor, f"input_{i}" if i else "input")
    for name, value in named.items():
        for i, tensor in enumerate(tensors_in(value)):
            layers.add_input(tensor, f"{name}_{i}" if i else name)
    ignored = np.errstate(over="ignore", invalid="ignore")
    with ignored, torch.no_grad(), torch.device("meta"), layers.watching(), trace:
        returned = plan.model(*args, **named)
    output = _logits(returned)
    output = main_tensor(returned) if output is None else output
    if output is None or not output.is_floating_point():
        raise GradscopeError("The model returns no floating-point tensor, so there is no gradient to predict.")
    return Forward(plan, returned, output, layers, trace)


def profile(run: Forward, *, loss: Loss = "unit") -> Profile:
    """Carry the gradient of a loss back to every layer and parameter, and put everything into one record.

    Args:
        run: a model that has been run; its tables take the gradients, so it serves once.
        loss: see `Loss`.
    """
    table = run.trace.table(run.output)
    seed = cotangent(table, loss)
    with np.errstate(over="ignore", invalid="ignore"):  # an exploding model is one of the answers
        propagate(table, seed.gradient)
        return assemble(run, seed)


def loss_of(run: Forward, name: str | None) -> tuple[Loss, str]:
    """The loss of a name, or the natural one of the output, and what it is in words.

    Raises:
        GradscopeError: theory knows no such loss.
    """
    loss = name.replace("_", "-") if name else run.natural_loss
    if loss == "cross-entropy":
        shape = run.output.shape
        classes = shape[-1] if len(shape) != 4 else shape[1]
        return "cross-entropy", f"cross-entropy over {classes} classes, labels independent of the output"
    if loss == "mse":
        return "mse", "mean squared error, targets from N(0, 1)"
    if loss == "projection":
        return "projection", "a random projection"
    raise GradscopeError(f"A static analysis knows no loss {name!r}; it knows cross-entropy and mse.")


def measured_loss(run: Forward, measured: Profile) -> float:
    """The second moment of the gradient that a measured loss sent into the output; 0 where it sent none there."""
    made = {(layer.name, layer.call) for layer in (run.layers.list[i] for i in _sources(run.output))}
    for index in measured.outputs:
        layer = measured.layers[index]
        if (layer.name, layer.node.call) in made and layer.gradient is not None:
            return layer.gradient.second_moment.value
    return 0.0


def _sources(tensor: Tensor) -> frozenset[int]:
    return getattr(tensor, "_sources", frozenset())


def _logits(returned: Any) -> Tensor | None:
    """The tensor that an output calls its logits."""
    names = [name for name in returned if str(name).endswith("logits")] if isinstance(returned, Mapping) else []
    found = returned[min(names, key=len)] if names else None
    return found if isinstance(found, Tensor) and found.is_floating_point() else None
