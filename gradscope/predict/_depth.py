"""The depth law: what a repeated block does to signal and gradient, and after how many of them nothing is left."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict

import numpy as np

from gradscope.predict._layers import Layer
from gradscope.predict._table import Table, diagonal, point_average
from gradscope.schema import Estimate

METHOD = "mean-field, repeated block"
FEWEST = 3  # blocks behind a rate
ROUNDING = 1e-7  # of a moment, below which a change from block to block is rounding
STEADY = 1e-3  # rate of a logarithm per block below which no depth is told
_INDEXED = re.compile(r"^(.*?)(?:^|\.)(\d+)(?:\.|$)")
_FORMATS = {  # smallest normal and largest finite number
    "float16": (2.0**-14, 65504.0),
    "bfloat16": (2.0**-126, (2 - 2.0**-7) * 2.0**127),
    "float32": (2.0**-126, (2 - 2.0**-23) * 2.0**127),
}


def depth_law(layers: list[Layer]) -> dict[str, Estimate]:
    """Gains per block, depth scales, and the number of further blocks until a format under- or overflows."""
    blocks = _repeated(layers)
    if len(blocks) < FEWEST:
        return {}
    tables = [t for t in (_last_table(block) for block in blocks) if t is not None]
    law: dict[str, Estimate] = {}
    activations = [t.second_moment for t in tables]
    gradients = [t.gradient_second_moment or 0.0 for t in tables]
    correlations = [c for c in map(_sample_correlation, tables) if c is not None]
    if (gain := _rate(activations)) is not None:
        law["block_activation_gain"] = Estimate.exact(math.exp(gain / 2), METHOD, len(tables))
        law |= _limits("activation", activations[-1], gain)
    if (rate := _rate(gradients)) is not None:  # of the deeper half too, where the signal has settled
        gain = -rate
        law["block_gradient_gain"] = Estimate.exact(math.exp(gain / 2), METHOD, len(tables))
        law["gradient_depth_scale"] = _scale(gain, len(tables))
        law |= _limits("gradient", gradients[0], gain)
    if (rate := _rate(_steps(activations))) is not None and rate < 0:
        law["variance_depth_scale"] = _scale(rate, len(tables))
    if (rate := _rate(_steps(correlations))) is not None and rate < 0:
        law["correlation_depth_scale"] = _scale(rate, len(tables))
    return law


def _steps(values: list[float]) -> list[float]:
    """Changes from block to block, as far as they are more than rounding."""
    changes = [abs(b - a) for a, b in itertools.pairwise(values)]
    kept = itertools.takewhile(lambda pair: pair[0] > ROUNDING * abs(pair[1]), zip(changes, values, strict=False))
    return [change for change, _ in kept]


def _repeated(layers: list[Layer]) -> list[list[Layer]]:
    """The layers of every period of the longest numbered list of modules: of (linear, tanh, linear, ...) two each."""
    families: dict[str, dict[int, list[Layer]]] = defaultdict(lambda: defaultdict(list))
    for layer in layers:
        if layer.table is not None and (match := _INDEXED.match(layer.name)):
            families[match[1]][int(match[2])].append(layer)
    if not families:
        return []
    longest = max(families.values(), key=len)
    members = [longest[i] for i in sorted(longest)]
    period = _period([tuple(layer.op for layer in member) for member in members])
    whole = len(members) // period * period
    return [[*itertools.chain(*members[i : i + period])] for i in range(0, whole, period)]


def _period(signatures: list[tuple[str, ...]]) -> int:
    """The smallest shift under which at least nine in ten members look alike; 1 if there is none."""
    for period in range(1, len(signatures) // FEWEST + 1):
        pairs = list(zip(signatures, signatures[period:], strict=False))
        if sum(a == b for a, b in pairs) >= 0.9 * len(pairs):
            return period
    return 1


def _last_table(block: list[Layer]) -> Table | None:
    reached = [layer.table for layer in block if layer.table is not None and layer.table.gradient is not None]
    return reached[-1] if reached else None


def _rate(values: list[float]) -> float | None:
    """Slope of the logarithm per block over the later half, where transients are over; None if it is not defined."""
    positive = [v for v in values if v > 0]
    if len(positive) < len(values) or len(values) < FEWEST:
        return None
    late = np.log(values[len(values) // 2 :] if len(values) >= 2 * FEWEST else values)
    return float(np.polyfit(np.arange(len(late)), late, 1)[0]) if len(late) > 1 else None


def _scale(rate: float, blocks: int) -> Estimate:
    """Blocks over which a quantity changes by e."""
    if abs(rate) < STEADY:
        return Estimate.unknown("constant over depth")
    return Estimate.exact(1.0 / abs(rate), METHOD, blocks)


def _limits(what: str, second_moment: float, rate: float) -> dict[str, Estimate]:
    """Further blocks until the rms leaves the normal numbers of a format, at this rate of the second moment."""
    rms = math.sqrt(second_moment)
    out = {}
    for name, (smallest, largest) in _FORMATS.items():
        limit, word = (largest, "overflow") if rate > 0 else (smallest, "underflow")
        if abs(rate) > STEADY and rms > 0:
            out[f"{what}_{word}_depth_{name}"] = Estimate.exact(max(0.0, 2 * math.log(limit / rms) / rate), METHOD)
    return out


def _sample_correlation(table: Table) -> float | None:
    """E x x' / E x^2 between two samples, at the same position."""
    if len(table.dims[0]) != 1 or table.dims[0][0].size < 2:
        return None
    axes = table.axes
    between = table.second[1 if axes[0].is_exchangeable else -1]
    return point_average(diagonal(between, axes[1:]), axes[1:]) / max(table.second_moment, 1e-300)
