"""Versioned identity of tensors: which op produced the value that a tensor object holds right now."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(slots=True)
class Value:
    """One version of one tensor.

    Attributes:
        op: index of the op that produced it.
        slot: number of the tensor object; an in-place op makes a new value in the same slot.
        sources: indices of the layers that the value flows from.
    """

    op: int
    slot: int
    version: int
    sources: frozenset[int]
    reference: weakref.ref[Tensor]


def version_of(tensor: Tensor) -> int:
    """The in-place counter; inference tensors do not have one and cannot change under autograd."""
    return 0 if tensor.is_inference() else tensor._version


class Values:
    """The values of one run, found by tensor object, by storage, or by the autograd node that made them."""

    def __init__(self) -> None:
        self._by_id: dict[int, Value] = {}
        self._mutated: dict[int, Value] = {}  # storage -> its last in-place mutation
        self._by_grad_fn: dict[Any, Value] = {}  # holds the nodes, so that their ids stay unique
        self._slots = 0

    def find(self, tensor: Tensor) -> Value | None:
        """The last recorded value of this tensor object, possibly of an older version."""
        value = self._by_id.get(id(tensor))
        return value if value is not None and value.reference() is tensor else None

    def bind(self, tensor: Tensor, op: int, sources: frozenset[int], *, slot: int | None = None) -> Value:
        """Record that `op` produced the value that `tensor` holds now."""
        if slot is None:
            slot, self._slots = self._slots, self._slots + 1
        value = Value(op, slot, version_of(tensor), sources, weakref.ref(tensor))
        self._by_id[id(tensor)] = value
        if tensor.grad_fn is not None:
            self._by_grad_fn[tensor.grad_fn] = value
        return value

    def mark_mutated(self, tensor: Tensor, value: Value) -> None:
        """Record that the memory behind `tensor` was last written by `value`."""
        key = _storage(tensor)
        if key is not None:
            self._mutated[key] = value

    def last_mutation(self, tensor: Tensor) -> Value | None:
        """The op that last wrote the memory behind `tensor` in place, through whatever alias."""
        key = _storage(tensor)
        return self._mutated.get(key) if key is not None else None

    def behind(self, tensor: Tensor) -> Iterable[Value]:
        """The nearest recorded values that a tensor of unknown origin was computed from, by its autograd graph."""
        seen, stack = set(), [tensor.grad_fn]
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            value = self._by_grad_fn.get(node)
            if value is None and hasattr(node, "variable"):
                value = self.find(node.variable)
            if value is not None:
                yield value
            else:
                stack.extend(parent for parent, _ in node.next_functions)


def _storage(tensor: Tensor) -> int | None:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse, meta-like and other tensors without one storage
        return None
