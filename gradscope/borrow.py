"""The user's model is borrowed: whatever runs inside `borrowed`, everything is as it was when it ends."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def borrowed(model: nn.Module, *, training: bool, seed: int) -> Iterator[None]:
    """Run the model in the given mode under a fixed seed, and leave no trace.

    Buffers are replaced by clones for the time being, so that batch-norm statistics, and even the version
    counters of the user's tensors, stay untouched. Modes, attributes, `requires_grad`, `.grad`, hooks, random
    number generators, the default dtype and the warning filters are put back.
    """
    with ExitStack() as stack:
        stack.enter_context(seeded(seed))
        stack.enter_context(_settings())
        stack.enter_context(_module_state(model))
        stack.enter_context(torch.enable_grad())
        model.train(training)
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's generators inside, and restore their states afterwards."""
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            random.seed(seed)
            if numpy:
                numpy.random.seed(seed % 2**32)
            torch.random.default_generator.manual_seed(seed)
            for device in devices:
                torch.cuda.default_generators[device].manual_seed(seed)
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


@contextmanager
def _settings() -> Iterator[None]:
    dtype = torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


@contextmanager
def _module_state(model: nn.Module) -> Iterator[None]:
    modules = list(model.modules())
    attributes = [_shallow(module) for module in modules]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    clones: dict[int, Tensor] = {}
    for module in modules:
        for name, buffer in module._buffers.items():
            if buffer is not None:
                clones.setdefault(id(buffer), buffer.detach().clone())
                module._buffers[name] = clones[id(buffer)]
    try:
        yield
    finally:
        for module, before in zip(modules, attributes, strict=True):
            _restore(module, before)
        for parameter, requires_grad, grad in parameters:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            if parameter.grad is not grad:
                parameter.grad = grad


def _shallow(module: nn.Module) -> dict[str, Any]:
    """A module's attributes, with a copy of every dictionary it keeps (parameters, buffers, hooks, ...)."""
    return {key: (value, value.copy() if isinstance(value, dict) else None) for key, value in vars(module).items()}


def _restore(module: nn.Module, before: dict[str, Any]) -> None:
    state = vars(module)
    for key in [key for key in state if key not in before]:
        del state[key]
    for key, (value, content) in before.items():
        if state.get(key) is not value:
            state[key] = value
        if content is not None and (value.keys() != content.keys() or any(value[k] is not content[k] for k in content)):
            value.clear()
            value.update(content)
