"""Dropout masks of a recorded run: drawn once more, from the state that the generator was in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def generator_state(device: torch.device) -> Tensor:
    """A copy of the state of the device's generator."""
    return _generator_of(device).get_rng_state()


@contextmanager
def drawing_from(state: Tensor, device: torch.device) -> Iterator[None]:
    """Draw the numbers that follow from this state inside; the generator is as it was at the end."""
    generator = _generator_of(device)
    present = generator.get_rng_state()
    generator.set_rng_state(state)
    try:
        yield
    finally:
        generator.set_rng_state(present)


def _generator_of(device: torch.device) -> Any:
    return torch.random if device.type == "cpu" else torch.get_device_module(device)
