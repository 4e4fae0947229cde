"""How trials use the machine: one thread for small steps, and an end to patience."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

SMALL_STEP = 0.05
"""Seconds of one thread below which a training step gains nothing from more threads: they wait for each other, and on
a machine that others use, or that lends fewer cores than it shows, they wait ten times as long as they work."""


@contextmanager
def threads_for(step: float) -> Iterator[None]:
    """Run inside on one thread if a training step takes `step` < SMALL_STEP seconds of one; as before otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if step < SMALL_STEP else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class Patience:
    """Wall time that trials may take. The plan counts steps and fits; this ends it on a machine that is too busy.

    Attributes:
        seconds: from the moment it is made.
    """

    seconds: float
    _start: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether that time has passed."""
        return time.monotonic() - self._start > self.seconds

    @property
    def words(self) -> str:
        """Why something was left out."""
        return f"not tried: other trials have taken {self.seconds:.0f} s already; a larger --timeout allows more"
