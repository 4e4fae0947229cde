"""Inputs of a model as a remedy's text sees them, and as the model is called with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradscope.borrow import seeded
from gradscope.schema import GradscopeError, Subject


def as_call(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a batch: a tensor, a tuple of arguments, or a dict of them."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, tuple | list):
        return tuple(inputs), {}
    return (inputs,), {}


def example_inputs(subject: Subject) -> Any:
    """A batch of real data where the user gave some, else the example inputs; one tensor, a tuple or a dict.

    Raises:
        GradscopeError: the user's batches are empty.
    """
    if subject.batches is not None:
        with seeded(subject.info.seed):
            first = next(iter(subject.batches(subject.info.seed)), None)
        if first is None:
            raise GradscopeError("batches(seed) yielded nothing; it should yield (inputs, targets).")
        return first[0]
    if subject.args and subject.kwargs:
        return subject.args, dict(subject.kwargs)
    return dict(subject.kwargs) if subject.kwargs else subject.args[0] if len(subject.args) == 1 else subject.args


def call_text(subject: Subject) -> str:
    """The expression that runs `model` on `inputs`."""
    inputs = example_inputs(subject)
    if isinstance(inputs, Tensor):
        return "model(inputs)"
    if isinstance(inputs, Mapping):
        return "model(**inputs)"
    is_both = subject.batches is None and subject.args and subject.kwargs
    return (
        "model(*inputs[0], **inputs[1])"
        if is_both
        else "model(*inputs)"
        if isinstance(inputs, tuple | list)
        else "model(inputs)"
    )
