"""Everything a model refers to: taken down before it runs, put back afterwards."""

from __future__ import annotations

import operator
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.borrow._tensors import TensorState, storage_of

_ATOMS = {
    *(bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size),
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType),
}
_MAX_DEPTH = 6  # of objects inside objects: state is shallow, but a trainer or a data set may hang on a model


class State:
    """The state of a model, with all that its attributes lead to.

    Buffers are copied at once. Parameters and other tensors are too large for that: they are copied when torch
    is about to write to them (`keep`), and only their version counters tell of any other write.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules: list[tuple[nn.Module, type[nn.Module], bool]] = []
        self._mappings: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self._collections: list[tuple[list[Any] | deque[Any] | set[Any], list[Any]]] = []
        self._inner: list[Callable[[], Any]] = []  # puts back what changes inside generators and arrays
        self._seen: dict[int, Any] = {}  # holds the objects, so that their ids stay theirs
        self._tensors: list[TensorState] = []
        self._by_storage: dict[int | None, TensorState] = {}
        for name, parameter in model.named_parameters():
            self._take_tensor(parameter, name)
        for name, buffer in model.named_buffers():
            self._take_tensor(buffer, name, is_state=True)
            self.keep(buffer)
        for path, module in reversed(list(model.named_modules())):  # inner ones first, so that paths are their own
            self._take(module, path or type(model).__name__, 0)

    def keep(self, tensor: Tensor) -> None:
        """Copy the memory behind a tensor, if it belongs to the model and has not been copied yet."""
        state = self._by_storage.pop(storage_of(tensor), None)
        if state is not None:
            state.keep()

    def restore(self) -> list[str]:
        """Put everything back.

        Returns:
            A sentence for every tensor that the model's own code has changed.
        """
        for module, kind, training in self._modules:
            _put_mode_back(module, kind, training)
        for mapping, before in self._mappings:
            _put_entries_back(mapping, before)
        for collection, items in self._collections:
            _put_items_back(collection, items)
        for put_back in self._inner:
            put_back()
        with torch.no_grad(), torch._C.DisableTorchFunction():
            return [report for t in self._tensors if (report := t.restore())]

    def _take(self, value: Any, name: str, depth: int) -> None:
        if type(value) in _ATOMS or id(value) in self._seen or depth > _MAX_DEPTH:
            return
        if isinstance(value, Tensor):
            return self._take_tensor(value, name)
        self._seen[id(value)] = value
        if isinstance(value, dict):
            self._take_mapping(value, name, depth)
        elif isinstance(value, nn.Module):
            self._modules.append((value, type(value), value.training))
            self._take_mapping(vars(value), name, 0)
        elif isinstance(value, list | deque | set | tuple):
            if not isinstance(value, tuple):
                self._collections.append((value, list(value)))
            for i, item in enumerate(value):
                self._take(item, f"{name}.{i}", depth + 1)
        elif isinstance(value, type):
            return
        elif (put_back := _inner_state(value)) is not None:
            self._inner.append(put_back)
        elif hasattr(value, "__dict__"):
            self._take_mapping(vars(value), name, depth)

    def _take_mapping(self, mapping: dict[Any, Any], name: str, depth: int) -> None:
        self._mappings.append((mapping, dict(mapping)))
        for key, item in mapping.items():
            if type(item) not in _ATOMS:
                self._take(item, f"{name}.{key}", depth + 1)

    def _take_tensor(self, tensor: Tensor, name: str, *, is_state: bool = False) -> None:
        if id(tensor) not in self._seen:
            self._seen[id(tensor)] = tensor
            state = TensorState(name, tensor, is_state=is_state)
            self._tensors.append(state)
            self._by_storage.setdefault(storage_of(tensor), state)


def _put_mode_back(module: nn.Module, kind: type[nn.Module], training: bool) -> None:
    if type(module) is not kind:
        module.__class__ = kind
    if module.training != training:  # a scripted module does not keep it among its attributes
        module.training = training


def _put_entries_back(mapping: dict[Any, Any], before: dict[Any, Any]) -> None:
    if not (_is_same(mapping, before) and _is_same(mapping.values(), before.values())):
        mapping.clear()
        mapping.update(before)


def _put_items_back(items: list[Any] | deque[Any] | set[Any], before: list[Any]) -> None:
    if not _is_same(items, before):
        items.clear()
        items.update(before) if isinstance(items, set) else items.extend(before)


def _is_same(now: Collection[Any], before: Collection[Any]) -> bool:
    return len(now) == len(before) and all(map(operator.is_, now, before))


def _inner_state(value: Any) -> Callable[[], Any] | None:
    """How to put back what changes inside generators and arrays; None for other objects."""
    if isinstance(value, torch.Generator):
        return partial(value.set_state, value.get_state())
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, numpy.random.Generator):
        return partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    if isinstance(value, numpy.random.RandomState):
        return partial(value.set_state, value.get_state())
    if isinstance(value, numpy.ndarray) and value.flags.writeable:
        return partial(numpy.copyto, value, value.copy())
    return None
