"""Profile from theory alone: the model on the meta device, moment tables through its forward and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from gradscope.predict._flow import propagate
from gradscope.predict._initial import build as build_on_meta
from gradscope.predict._inputs import Signal, meta_input
from gradscope.predict._layers import Layers
from gradscope.predict._loss import Loss, cotangent
from gradscope.predict._profile import assemble
from gradscope.predict._trace import Trace
from gradscope.pytree import main_tensor, tensors_in
from gradscope.schema import GradscopeError, Profile

__all__ = ["Signal", "profile"]


def profile(
    build: Callable[[], nn.Module],
    make_inputs: Callable[[], tuple[tuple[Any, ...], Mapping[str, Any]]],
    *,
    loss: Loss = "unit",
    progress: Callable[[str, float], None] | None = None,
) -> Profile:
    """Predict activations and gradients at initialization without allocating the model.

    Args:
        build: makes the model; it is called with the meta device as the default.
        make_inputs: (args, kwargs) of the forward pass. Integer and boolean tensors must be real; a real floating-point
            tensor counts with its own moments, one on the meta device or a `Signal` with those it states.
        loss: what is differentiated: "unit" is a random direction of the output, <r, y> with r ~ N(0, 1);
            "cross-entropy" the mean over all rows of logits; "mse" the mean squared error against standard targets.
        progress: is told (stage, fraction done).

    Raises:
        GradscopeError: the model returns no floating-point tensor.
        Whatever the model raises when it is built or run on the meta device.
    """
    report = progress or (lambda stage, fraction: None)
    report("build", 0.0)
    model, initial = build_on_meta(build)
    trace = Trace(initial)
    layers = Layers(model, trace.find_table, trace.know_numbers)
    args, kwargs = make_inputs()
    args = tuple(meta_input(value, trace) for value in args)
    kwargs = {name: meta_input(value, trace) for name, value in kwargs.items()}
    for i, tensor in enumerate(tensors_in(args)):
        layers.add_input(tensor, f"input_{i}" if i else "input")
    for name, value in kwargs.items():
        for i, tensor in enumerate(tensors_in(value)):
            layers.add_input(tensor, f"{name}_{i}" if i else name)
    report("forward", 0.1)
    with torch.no_grad(), layers.watching(), trace:
        returned = model(*args, **kwargs)
    output = main_tensor(returned)
    if output is None or not output.is_floating_point():
        raise GradscopeError("The model returns no floating-point tensor, so there is no gradient to predict.")
    report("backward", 0.6)
    table = trace.table(output)
    seed = cotangent(table, loss)
    propagate(table, seed.gradient)
    report("profile", 0.9)
    outputs = sorted(frozenset().union(*(getattr(t, "_sources", frozenset()) for t in tensors_in(returned))))
    return assemble(model, layers, trace, seed, tuple(outputs))
