"""Positions of a log10 line plot, for an SVG: points, broken lines, ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import TypeGuard

from gradscope.schema import Estimate

WIDTH, HEIGHT = 720, 200  # of the plotting area, in SVG units
_SMALLEST_SPAN = 2  # decades: a healthy profile is to look flat, not dramatic
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Point:
    """One layer: `index` in the profile, its place, and whether its value has a logarithm."""

    index: int
    x: float
    y: float
    is_number: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines (each a run of neighbouring points as SVG coordinates), all points, and (y, exponent) ticks."""

    lines: tuple[str, ...]
    points: tuple[Point, ...]
    ticks: tuple[tuple[float, int], ...]


def plot(values: Sequence[float | None]) -> Plot:
    """Place values on a log10 axis; unknown ones break the line, zero, NaN and infinity sit on the edge."""
    logs = [math.log10(v) for v in values if _has_logarithm(v)] or [0.0]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    while high - low < _SMALLEST_SPAN:
        low, high = (low - 1, high) if min(logs) - low < high - max(logs) else (low, high + 1)
    step = WIDTH / max(len(values) - 1, 1)
    points = tuple(
        Point(i, round(i * step, 1), _y(value, low, high), _has_logarithm(value))
        for i, value in enumerate(values)
        if value is not None
    )
    every = math.ceil((high - low) / _MOST_TICKS)
    ticks = tuple((_y(10.0**e, low, high), e) for e in range(low, high + 1, every))
    return Plot(tuple(_lines(points)), points, ticks)


def peak(losses: Iterable[float]) -> float:
    """The largest finite loss, to scale curves with; 1 if there is none above zero."""
    return max((loss for loss in losses if math.isfinite(loss)), default=0.0) or 1.0


def curve(losses: Sequence[float], top: float) -> str:
    """A small loss curve from 0 to `top`, as the `points` of an SVG polyline of 100 x 24; it ends where it blew up."""
    step = 100 / max(len(losses) - 1, 1)
    finite = takewhile(lambda pair: math.isfinite(pair[1]), enumerate(losses))
    return " ".join(f"{i * step:.1f},{24 * (1 - min(loss, top) / top):.1f}" for i, loss in finite)


def bars(shares: Sequence[Estimate]) -> list[tuple[float, float, float, float]]:
    """Bars side by side as (x, y, width, height) of SVG rectangles in 200 x 48; the largest share is full height."""
    top, width = max(share.value for share in shares), 200 / len(shares)
    heights = (48 * share.value / top for share in shares)
    return [(round(i * width, 1), round(48 - h, 1), round(width - 1, 1), round(h, 1)) for i, h in enumerate(heights)]


def _has_logarithm(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value) and value > 0


def _y(value: float, low: int, high: int) -> float:
    """From the top; what is not a number is at the top, zero at the bottom."""
    if value == 0:
        return float(HEIGHT)
    if not math.isfinite(value):
        return 0.0
    return round(HEIGHT * (high - math.log10(value)) / (high - low), 1)


def _lines(points: Iterable[Point]) -> Iterable[str]:
    """Runs of neighbours that are numbers, as the `points` of an SVG polyline."""
    numbers = [p for p in points if p.is_number]
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1].index - pair[0]):
        yield " ".join(f"{p.x},{p.y}" for _, p in run)
