"""Inputs of a model as a remedy's text sees them, and as the model is called with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradscope.batches import user_batches
from gradscope.schema import Subject


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
