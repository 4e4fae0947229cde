"""Inputs of a model as a remedy's text sees them, and as the model is called with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradscope.borrow import seeded
from gradscope.pytree import tensors_in
from gradscope.schema import GradscopeError, Subject


def as_call(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a batch: a tensor, a tuple of arguments, or a dict of them."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, tuple | list):
        return tuple(inputs), {}
    return (inputs,), {}


def user_batches(subject: Subject, seed: int, *, most: int, most_bytes: float = math.inf) -> list[tuple[Any, Any]]:
    """The user's first (inputs, targets) from under a seed: so many, or as many as exceed so many bytes.

    Raises:
        GradscopeError: there are none, or the user's function fails.
    """
    assert subject.batches is not None
    found: list[tuple[Any, Any]] = []
    try:
        with seeded(seed):
            for inputs, targets in subject.batches(seed):
                found.append((inputs, targets))
                most_bytes -= sum(tensor.nbytes for tensor in tensors_in((inputs, targets)))
                if len(found) >= most or most_bytes < 0:
                    break
    except Exception as error:  # the user's code
        raise GradscopeError(f"batches({seed}) failed: {type(error).__name__}: {error}") from error
    if not found:
        raise GradscopeError(f"batches({seed}) yielded nothing; it should yield (inputs, targets).")
    return found


def example_inputs(subject: Subject) -> Any:
    """A batch of real data where the user gave some, else the example inputs; one tensor, a tuple or a dict.

    Raises:
        GradscopeError: the user's batches cannot be used.
    """
    if subject.batches is not None:
        return user_batches(subject, subject.info.seed, most=1)[0][0]
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
