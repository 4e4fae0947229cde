"""Batches of data: the user's, and as a model is called with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gradscope.borrow import seeded
from gradscope.pytree import map_tensors, tensors_in
from gradscope.raised import sentence
from gradscope.schema import GradscopeError, Subject


@dataclass(frozen=True, slots=True)
class Batch:
    """What one training step is given."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    targets: Any

    def cloned(self) -> Batch:
        """A copy, for models that change their inputs in place."""
        return Batch(*map_tensors((self.args, self.kwargs, self.targets), Tensor.clone))


def sample_count(*inputs: Any) -> int:
    """The first dimension that all tensors in `inputs` share; 0 if they do not share one."""
    sizes = {tensor.shape[0] if tensor.ndim else 0 for tensor in tensors_in(inputs)}
    return sizes.pop() if len(sizes) == 1 else 0


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
        raise GradscopeError(f"batches({seed}) failed: {sentence(error)}") from error
    if not found:
        raise GradscopeError(f"batches({seed}) yielded nothing; it should yield (inputs, targets).")
    return found
