"""Random number generators: seeded inside, as they were outside."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def random_states(model: nn.Module) -> tuple[object, ...]:
    """The states of all global generators, and of those that a model's modules hold: equal as long as nobody draws."""
    numpy = sys.modules.get("numpy")
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    held = [value for module in model.modules() for value in vars(module).values()]
    own = [value.get_state() for value in held if isinstance(value, torch.Generator)]
    own += [torch.cuda.get_rng_state(device) for device in devices]
    of_python = [value.getstate() for value in held if isinstance(value, random.Random)]
    of_numpy: list[object] = []
    if numpy:
        _, keys, place, *_ = numpy.random.get_state()
        own_of_numpy = [v.bit_generator.state for v in held if isinstance(v, numpy.random.Generator)]
        of_numpy = [keys.tobytes(), place, *own_of_numpy]
    tensors = [bytes(state.numpy()) for state in (torch.get_rng_state(), *own)]
    return random.getstate(), *tensors, *of_python, *of_numpy


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
            torch.default_generator.manual_seed(seed)
            for device in devices:
                torch.cuda.default_generators[device].manual_seed(seed)
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
