"""The user's model is borrowed: whatever runs inside `borrowed`, everything is as it was when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from gradscope.borrow._random import random_states, seeded
from gradscope.borrow._settings import settings
from gradscope.borrow._state import State
from gradscope.borrow._tensors import storage_of
from gradscope.borrow._writes import KeepingOriginals, Writes

__all__ = ["Writes", "borrowed", "random_states", "seeded", "storage_of"]


@contextmanager
def borrowed(model: nn.Module, *, training: bool, seed: int) -> Iterator[list[str]]:
    """Run the model in the given mode under a fixed seed, and leave no trace.

    Afterwards, also after an exception, these are bit for bit what they were: parameters, buffers and every other
    tensor the model refers to, with their version counters, gradients, hooks and flags; modes and Python
    attributes; random number generators; torch's global settings, warning filters, working directory,
    environment, import path and signal handlers.

    A graph that was built inside must not be used outside: what it saved has been put back.

    Yields:
        A list that is filled at the end: a sentence for each tensor that the model's own code changed, buffers
        apart, which are there to be changed.
    """
    changed: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(seeded(seed))
        stack.enter_context(settings())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        state = State(model)
        stack.callback(lambda: changed.extend(state.restore()))
        model.train(training)
        stack.enter_context(KeepingOriginals(state))
        yield changed
