"""A small bar chart of positive numbers on a log10 axis, in blocks or in ASCII."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gradscope.report._look import Look

_SMALLEST_SPAN = 2  # decades: a healthy profile is to look flat, not dramatic
_WIDEST_BAR = 6  # columns a layer
LABEL = 6  # columns of an axis label, 1e-100 at most


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows of equal meaning: an axis label and the cells right of the axis.

    `columns[i]` holds the indices of the values that column i of the cells stands for.
    """

    labels: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[range, ...]


def chart(values: Sequence[float | None], *, width: int, height: int, look: Look) -> Chart:
    """Bars of log10(value) from left to right.

    A column stands for one value or, where there are more values than columns, for the geometric mean of
    several. NaN and infinity show as a cross, an exact zero as 0, and None (not measured) as nothing.

    Args:
        values: one a layer, in execution order.
        width: columns right of the axis.
        height: rows.
        look: the medium.
    """
    columns = _columns(len(values), width)
    means = [_geometric_mean([values[i] for i in column]) for column in columns]
    low, high = _span(means)
    levels = look.glyph("levels")
    cells = [_column(mean, low, high, height, levels, look.glyph("times")) for mean in means]
    rows = tuple("".join(cell[row] for cell in cells) for row in range(height))
    labels = tuple(f"{label:>{LABEL}}" for label in (f"1e{high}", *[""] * (height - 2), f"1e{low}"))
    return Chart(labels, rows, columns)


def _columns(n: int, width: int) -> tuple[range, ...]:
    if n > width:
        edges = [round(i * n / width) for i in range(width + 1)]
        return tuple(range(a, b) for a, b in pairwise(edges))
    wide = max(1, min(_WIDEST_BAR, width // max(n, 1)))
    return tuple(range(i, i + 1) for i in range(n) for _ in range(wide))


def _geometric_mean(values: Sequence[float | None]) -> float | None:
    """The mean of log10, as a value; NaN if any is not finite, 0 if any is zero, None if none is known."""
    known = [v for v in values if v is not None]
    if not known:
        return None
    if not all(math.isfinite(v) for v in known):
        return math.nan
    if not all(known):
        return 0.0
    return 10 ** (sum(math.log10(v) for v in known) / len(known))


def _span(means: Sequence[float | None]) -> tuple[int, int]:
    """Whole decades around all positive finite values, at least `_SMALLEST_SPAN` of them."""
    logs = [math.log10(m) for m in means if m is not None and math.isfinite(m) and m > 0] or [0.0]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    while high - low < _SMALLEST_SPAN:
        low, high = (low - 1, high) if min(logs) - low < high - max(logs) else (low, high + 1)
    return low, high


def _column(mean: float | None, low: int, high: int, height: int, levels: str, cross: str) -> list[str]:
    """One column of cells, top first."""
    if mean is None:
        return [" "] * height
    if not math.isfinite(mean) or mean == 0:
        return [" "] * (height - 1) + ["0" if mean == 0 else cross]
    steps = height * len(levels)
    filled = max(1, round((math.log10(mean) - low) / (high - low) * steps))
    cells = []
    for row in range(height):  # the row at the bottom is filled first
        level = filled - (height - 1 - row) * len(levels)
        cells.append(" " if level <= 0 else levels[min(level, len(levels)) - 1])
    return cells
