"""Tensors that depend on neither weights nor inputs are computed for real, on the CPU, beside their meta twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map


def taken_out(func: Any, args: Any, kwargs: Any, value_of: Callable[[Tensor], Tensor | None]) -> Any:
    """The result of an operator that carries a constant off the meta device; None if it does not."""
    name = func._schema.name.split("::")[1]
    if name == "_to_copy":
        device = kwargs.get("device")
        if device is None or torch.device(device).type == "meta" or args[0].device.type != "meta":
            return None
    elif name != "_local_scalar_dense" or args[0].device.type != "meta":
        return None
    value = value_of(args[0])
    if value is None:
        return None
    with _disable_current_modes():
        return value.item() if name == "_local_scalar_dense" else func(value, *args[1:], **kwargs)


def tensors_of(tree: Any) -> list[Tensor]:
    """Every tensor in nested arguments, in order."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def on_cpu(func: Any, args: Any, kwargs: Any, value_of: Callable[[Tensor], Tensor | None]) -> Any:
    """Run an operator on the values of its tensors.

    Views of a constant share its memory, and in-place operators change it for all of them, as they do on the device.
    """

    def real(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return value_of(leaf)
        return torch.device("cpu") if isinstance(leaf, torch.device) else leaf

    with _disable_current_modes():
        args, kwargs = tree_map(real, (args, kwargs))
        takes_device = any(argument.name == "device" for argument in func._schema.arguments)
        if takes_device and (not tensors_of((args, kwargs)) or kwargs.get("device") is not None):
            kwargs = {**kwargs, "device": torch.device("cpu")}
        if isinstance(kwargs.get("out"), Tensor):
            kwargs = {**kwargs, "out": torch.empty_like(kwargs["out"], device="cpu")}
        return func(*args, **kwargs)
