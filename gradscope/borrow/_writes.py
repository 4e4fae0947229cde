"""Copies what torch is about to overwrite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from gradscope.borrow._state import State
from gradscope.pytree import tensors_in

_NOT_IN_PLACE = ("__invert__", "__index__", "__int__", "__init__", "__iter__")
_STATISTICS = ("batch_norm", "instance_norm")  # they take running mean and variance after the input


class Writes:
    """Which tensors a torch call may overwrite: the first argument, `out`, statistics, renormalized embeddings."""

    def __init__(self) -> None:
        self._places: dict[Any, slice] = {}  # function -> which positional arguments it always writes to

    def __call__(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments that `function` may write to."""
        place = self._places.get(function)
        if place is None:
            place = self._places[function] = _place(function)
        written = args[place]
        if kwargs:
            if place == _FIRST and not args:
                written = tuple(kwargs.values())[:1]
            if kwargs.get("inplace"):
                written = args[:1]
            if kwargs.get("max_norm") is not None:
                written = args[1:2]
            if kwargs.get("out") is not None:
                written = (*written, kwargs["out"])
        return written


_FIRST, _NONE, _ALL = slice(0, 1), slice(0, 0), slice(None)


def _place(function: Any) -> slice:
    schema = getattr(getattr(function, "default", function), "_schema", None)  # of a custom operator
    if schema is not None:
        return _ALL if schema.is_mutable else _NONE
    name = getattr(function, "__name__", "")
    if name in _STATISTICS:
        return slice(1, 3)
    if name.startswith("__"):
        is_in_place = name == "__setitem__" or (name.startswith("__i") and name not in _NOT_IN_PLACE)
    else:
        is_in_place = name.endswith("_")
    return _FIRST if is_in_place else _NONE


_HANDING_OUT = ("numpy", "__array__", "__dlpack__")  # whoever gets the memory may write to it unseen


class KeepingOriginals(TorchFunctionMode):
    """Inside, tensors of the model are copied before torch first writes to them or hands out their memory."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state
        self._writes = Writes()

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        is_handed_out = getattr(func, "__name__", "") in _HANDING_OUT
        written = args[:1] if is_handed_out else self._writes(func, args, kwargs)
        if written:
            with torch._C.DisableTorchFunction():
                for tensor in tensors_in(written):
                    self._state.keep(tensor)
        return func(*args, **kwargs)
