"""How a logarithm that changes from block to block goes on behind the last one that is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gradscope.predict._axes import Array

STEADY = 1e-4  # change of a logarithm per block that counts as none
ALIKE = 1e-3  # share by which rates may miss a simple law
_OFFSETS = tuple(np.geomspace(0.5, 128.0, 25))  # of rate = a + b / (block + offset)^power
_POWERS = (1.0, 2.0)


def continued(logs: Sequence[float] | Array, count: int, *, has_end: bool) -> Array:
    """A sequence over blocks made `count` long, with NaN where it follows no law.

    Args:
        logs: what it is in the blocks that were run.
        has_end: whether the last third of them feels the end, and is to be that of the whole sequence.
    """
    known = np.asarray(logs, dtype=float)
    rates, size = np.diff(known), known.size
    begin, end = (size // 3, 2 * size // 3) if has_end else (size // 2, size - 1)
    if not np.all(np.isfinite(rates)):
        return np.full(count, np.nan)
    law = _law(rates[begin:end], begin)
    later = law(np.arange(end, count - 1))
    if has_end and later.size:
        later[later.size - (size - 1 - end) :] += rates[end:] - law(np.arange(end, size - 1))
    return known[0] + np.concatenate([[0.0], np.cumsum(np.concatenate([rates[:end], later]))])


def _law(rates: Array, first: int) -> Callable[[NDArray[np.int64]], Array]:
    """The rate at any block, by those from the block `first` on: the simplest law that holds.

    None, a constant, 1 / (a + b block), or else what comes nearest among a + b / (block + offset)^power.
    """
    if np.abs(rates).max() < STEADY:
        return lambda blocks: np.zeros(len(blocks))
    now, average = first + np.arange(rates.size), float(rates.mean())
    if np.ptp(rates) < ALIKE * abs(average):
        return lambda blocks: np.full(len(blocks), average)
    if np.all(rates * average > 0):  # 1 / rate grows by the same from block to block: a sum of equal parts
        slope, start = np.polyfit(now, 1.0 / rates, 1)
        if slope * average > 0 and np.abs((start + slope * now) * rates - 1.0).max() < ALIKE:
            return lambda blocks: 1.0 / (start + slope * blocks)
    best, found = math.inf, (0.0, 0.0, 1.0, 1.0)
    for offset, power in itertools.product(_OFFSETS, _POWERS):
        design = np.stack([np.ones(rates.size), (first + np.arange(rates.size) + offset) ** -power], 1)
        (constant, falling), *_ = np.linalg.lstsq(design, rates, rcond=None)
        error = float(((design @ [constant, falling] - rates) ** 2).sum())
        if error < best:
            best, found = error, (float(constant), float(falling), offset, power)
    constant, falling, offset, power = found
    return lambda blocks: constant + falling * (blocks + offset) ** -power
