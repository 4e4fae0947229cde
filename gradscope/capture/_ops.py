"""The entries of the tape: torch calls, and the tensors they start from."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from torch import Tensor

Step = tuple[Callable[[Any, Any], Any], Any]  # getitem or getattr, and its key
OpKind = Literal["input", "parameter", "buffer", "constant", "call", "module"]


@dataclass(frozen=True, slots=True)
class Reference:
    """Stands for a tensor in recorded arguments: the slot that held it."""

    slot: int


@dataclass(slots=True)
class Op:
    """One entry of the tape.

    Attributes:
        index: position on the tape.
        kind: a torch call, a call of a module that cannot be looked into, or where a tensor comes from.
        target: the function called; the name of an input, parameter, buffer or module; the tensor of a constant.
        args: positional arguments, with a `Reference` for every tensor.
        kwargs: keyword arguments, likewise.
        outputs: slot of every tensor it returned, and the steps that lead there from what it returned.
        path: path of the module that ran it.
    """

    index: int
    kind: OpKind
    target: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[tuple[int, tuple[Step, ...]], ...] = ()
    path: str = ""


def located(value: Any, steps: tuple[Step, ...] = ()) -> Iterator[tuple[Tensor, tuple[Step, ...]]]:
    """Every tensor in what a call returned, and the steps that lead to it."""
    if isinstance(value, Tensor):
        yield value, steps
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from located(item, (*steps, (operator.getitem, i)))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from located(item, (*steps, (operator.getitem, key)))
    elif is_dataclass(value):
        for field_ in fields(value):
            yield from located(getattr(value, field_.name), (*steps, (getattr, field_.name)))
