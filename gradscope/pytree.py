"""Tensors inside the nested containers that models take and return; shared by all stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_LEAVES = {int, float, complex, str, bytes, bool, torch.dtype, torch.device, torch.Size, type(None)}
_MAX_DEPTH = 6  # of objects inside objects: caches and outputs are shallow, arbitrary objects need not be


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in `value` in order of appearance: containers, dataclasses, caches, model outputs."""
    found: list[Tensor] = []
    _collect(value, found, set(), 0)
    return found


def _collect(value: Any, found: list[Tensor], seen: set[int], depth: int) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif type(value) in _LEAVES or depth > _MAX_DEPTH:
        return
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _collect(item, found, seen, depth + 1)
    elif isinstance(value, slice):
        _collect((value.start, value.stop, value.step), found, seen, depth)
    elif isinstance(value, Mapping):
        for item in value.values():
            _collect(item, found, seen, depth + 1)
    elif id(value) not in seen and _is_container(value):
        seen.add(id(value))
        for item in vars(value).values():
            _collect(item, found, seen, depth + 1)


def _is_container(value: Any) -> bool:
    """Whether tensors are looked for among an object's attributes: those of a cache or a model output."""
    return hasattr(value, "__dict__") and not isinstance(value, nn.Module | type) and not callable(value)


def map_tensors(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """`value` with every tensor in plain containers replaced; other objects are passed through."""
    if isinstance(value, Tensor):
        return function(value)
    if type(value) in _LEAVES:
        return value
    if isinstance(value, tuple):
        items = [map_tensors(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [map_tensors(item, function) for item in value]
    if type(value) is dict:
        return {key: map_tensors(item, function) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(map_tensors(item, function) for item in (value.start, value.stop, value.step)))
    return value


def main_tensor(value: Any) -> Tensor | None:
    """The first floating-point tensor in `value`, or the first tensor, or None."""
    tensors = tensors_in(value)
    floating = [t for t in tensors if t.is_floating_point() or t.is_complex()]
    return (floating or tensors or [None])[0]
