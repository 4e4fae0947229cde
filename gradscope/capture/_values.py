"""Versioned identity of tensors: which op produced the value that a tensor object holds right now."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from gradscope.borrow import storage_of


@dataclass(frozen=True, slots=True)
class Origin:
    """What a value flows from.

    Attributes:
        layers: indices of the nearest layers.
        parameters: names of the parameters on the way from there, such as both factors of a factorized weight.
    """

    layers: frozenset[int] = frozenset()
    parameters: frozenset[str] = frozenset()

    @classmethod
    def at(cls, layer: int) -> Origin:
        """The output of a layer."""
        return cls(frozenset({layer}))

    @classmethod
    def of(cls, values: Iterable[Value]) -> Origin:
        """What several values together flow from."""
        origins = [v.origin for v in values]
        if len(origins) == 1:
            return origins[0]
        return cls(frozenset().union(*(o.layers for o in origins)), frozenset().union(*(o.parameters for o in origins)))


@dataclass(slots=True)
class Value:
    """One version of one tensor.

    Attributes:
        op: index of the op that produced it.
        slot: number of the tensor object; an in-place op makes a new value in the same slot.
        version: the tensor's in-place counter.
        origin: what it flows from.
        reference: the tensor.
    """

    op: int
    slot: int
    version: int
    origin: Origin
    reference: weakref.ref[Tensor]


def version_of(tensor: Tensor) -> int:
    """The in-place counter; inference tensors do not have one and cannot change under autograd."""
    return 0 if tensor.is_inference() else tensor._version


def node_of(tensor: Tensor) -> Any:
    """The autograd node that made a tensor; None for a leaf, and for a view that autograd has no history for.

    Such a view was made without gradients and then written to: to ask for its node is an error.
    """
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


class Values:
    """The values of one run, found by tensor object, by storage, or by the autograd node that made them."""

    def __init__(self) -> None:
        self._by_id: dict[int, Value] = {}
        self._mutated: dict[int, tuple[StorageWeakRef, Value]] = {}  # the reference keeps the key from being reused
        self._by_grad_fn: dict[Any, Value] = {}
        self._slots = 0

    def find(self, tensor: Tensor) -> Value | None:
        """The last recorded value of this tensor object, possibly of an older version."""
        value = self._by_id.get(id(tensor))
        return value if value is not None and value.reference() is tensor else None

    def bind(self, tensor: Tensor, op: int, origin: Origin, *, slot: int | None = None) -> Value:
        """Record that `op` produced the value that `tensor` holds now."""
        if slot is None:
            slot, self._slots = self._slots, self._slots + 1
        value = Value(op, slot, version_of(tensor), origin, weakref.ref(tensor))
        self._by_id[id(tensor)] = value
        node = node_of(tensor)
        if node is not None:
            self._by_grad_fn[node] = value
        return value

    def mark_mutated(self, tensor: Tensor, value: Value) -> None:
        """Record that the memory behind `tensor` was last written by `value`."""
        key = storage_of(tensor)
        if key is not None:
            self._mutated[key] = (StorageWeakRef(tensor.untyped_storage()), value)

    def last_mutation(self, tensor: Tensor) -> Value | None:
        """The value that was last written in place to the memory behind `tensor`, through whatever alias."""
        key = storage_of(tensor)
        return self._mutated[key][1] if key in self._mutated else None

    def behind(self, tensor: Tensor, read: Callable[[Tensor], Value]) -> Iterator[Value]:
        """The nearest recorded values that a tensor of unknown origin was computed from, by its autograd graph.

        Args:
            tensor: the tensor.
            read: gives the value of a leaf tensor that is met on the way.
        """
        seen, stack = set(), [node_of(tensor)]
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self._by_grad_fn:
                yield self._by_grad_fn[node]
            elif (leaf := getattr(node, "variable", None)) is not None:
                yield read(leaf)
            else:
                stack.extend(parent for parent, _ in node.next_functions)
