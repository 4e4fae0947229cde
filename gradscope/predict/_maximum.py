"""Tables of maxima over windows of a function of a Gaussian: who wins is drawn once, then read off for every pair.

Windows at a border hold fewer entries, and entries there may vary less: each has moments of its own, and pairs of
windows are correlated as elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._axes import Array, Axis
from gradscope.predict._changes import refined
from gradscope.predict._gaussian import Lineage, lineage_of
from gradscope.predict._grid import grid
from gradscope.predict._rules import NoRule
from gradscope.predict._spans import Sources, Span, pattern_at, span_of
from gradscope.predict._table import Table, agreeing_average, along, diagonal, paired
from gradscope.predict._view import single
from gradscope.predict._windows import CORRELATIONS, Maxima, sampled

ALIKE = 0.05  # share of a window's largest standard deviation within which those of other entries are the same


def maximum(x: Table, windows: Sequence[Sources]) -> Table:
    """The largest entry of every window along the last dimensions of x.

    Raises:
        NoRule: an axis is too long, or a single position.
    """
    lineage = _on_lattices(lineage_of(x), len(windows))
    base = lineage.base
    axes, start = base.table.axes, len(base.table.axes) - len(windows)
    spans = [span_of(sources, axes[start + i]) for i, sources in enumerate(windows)]
    new_axes = [*axes[:start], *(s.new for s in spans)]
    average, one_by_one = base.correlation * base.scale, base.correlation * base.scale
    for i, span in enumerate(spans):
        average, one_by_one = along(average, span.pairs, start + i), along(one_by_one, span.agreeing, start + i)
    own = np.maximum(diagonal(average, new_axes), 1e-300)
    scale = paired(np.sqrt(own), new_axes)
    correlation = np.clip(average / scale, 0.0, 1.0)
    correlation[tuple(slice(len(a.groups)) for a in new_axes)] = 1.0

    node = int(np.argmax(base.share.reshape(-1, base.mean.size).sum(0)))
    squares = lineage.value**2 @ grid()[1]
    size = base.share @ (squares / max(float(squares[node]), 1e-300))
    kernel = base.correlation[(0,) * start]
    full, draws = sampled(lineage, node, axes[start:], kernel, [s.near() for s in spans])
    out_mean, second = _of_every_window(np.sqrt(size), draws, spans)
    factor = np.sqrt(second / full.second_moment)
    product, same = _pairs(full, correlation, one_by_one / scale, axes[:start], spans)
    out_second = product * paired(factor, new_axes)
    slope = full.slope

    def backward(gradient: Array) -> list[Array]:
        return [slope * _routed(gradient, same, start, spans)]

    gone = [start + i for i, s in enumerate(spans) if s.new.size == 1]
    kept = base.table.dims[: len(base.table.dims) - len(windows)]
    dims = (*kept, *((s.new,) if s.new.size > 1 else () for s in spans))
    out = Table(dims, _first(out_mean, gone), _first(out_second, gone), (base.table,), backward)
    if x is not base.table:
        out.passes = lambda gradient: [(x, agreeing_average(_routed(gradient, same, start, spans), axes))]
    if full.shape is not None:
        out.notes["shape"] = full.shape
    return out


def _first(array: Array, axes: Sequence[int]) -> Array:
    """Without axes of one position: of their classes, only "agree" has pairs."""
    for axis in reversed(axes):
        array = np.take(array, 0, axis)
    return array


def _pairs(
    full: Maxima, correlation: Array, one_by_one: Array, leading: Sequence[Axis], spans: Sequence[Span]
) -> tuple[Array, Array]:
    """E y y' for every class of pairs, and the share of the pairs whose maximum is one and the same entry.

    That share is what exceeds the chance that two entries drawn at random from the windows are the same.

    Args:
        correlation: the average covariance between two windows over that of one window with itself.
        one_by_one: the same of every entry with the same entry, 0 where the windows share none.
    """
    alike = _likeness(full, correlation, one_by_one, len(leading), spans)
    ones = np.interp(correlation, CORRELATIONS, np.maximum.accumulate([p.product for p in full.one_by_one]))
    shares = correlation * full.average / full.most_common
    common = np.interp(shares, CORRELATIONS, np.maximum.accumulate(full.in_common))
    product = np.array(alike * ones + (1.0 - alike) * common)
    same = np.zeros(product.shape)
    at_one_place = np.ix_(*(np.arange(n) for n in product.shape[: len(leading)]), *(pattern_at(s, 0) for s in spans))
    winners = alike[at_one_place] * np.interp(
        correlation[at_one_place], CORRELATIONS, [p.same for p in full.one_by_one]
    )
    same[at_one_place] = _beyond_chance(winners, spans, [0] * len(spans))
    for distances, pair in full.near.items():
        where = np.ix_(
            *(np.arange(len(a.groups)) for a in leading),
            *(pattern_at(s, d) for s, d in zip(spans, distances, strict=True)),
        )
        product[where] = pair.product
        same[where] = _beyond_chance(np.asarray(pair.same), spans, distances)
    return product, same


def _likeness(full: Maxima, correlation: Array, one_by_one: Array, start: int, spans: Sequence[Span]) -> Array:
    """How far the covariance of two windows is one of every entry with itself (1), or the same for all pairs (0)."""
    chance = np.ones(())
    for span in spans:
        chance = np.multiply.outer(chance, span.overlap)
    chance = np.broadcast_to(chance, correlation.shape)
    rest = np.where(chance < 1.0, 1.0 - chance, np.inf)
    excess = full.average * (one_by_one - correlation) / rest  # of the same entry over another one
    largest = correlation * (1.0 - full.average) / rest
    alike = np.divide(excess, largest, out=np.ones(excess.shape), where=largest > 0)
    alike = np.where(chance > 0, np.clip(alike, 0.0, 1.0), 0.0)
    return np.where(correlation == 1.0, 1.0, alike)  # the window itself


def _beyond_chance(same: Array, spans: Sequence[Span], distances: Sequence[int]) -> Array:
    chance = np.ones(())
    for span, distance in zip(spans, distances, strict=True):
        chance = np.multiply.outer(chance, span.overlap[pattern_at(span, distance)])
    return np.clip((same - chance) / np.maximum(1.0 - chance, 1e-9), 0.0, 1.0)


def _routed(gradient: Array, same: Array, start: int, spans: Sequence[Span]) -> Array:
    """Each gradient goes to the one entry that was the largest: which one is uniform over the window."""
    for i, span in enumerate(spans):
        if span.new.size == 1:  # its second class has no pairs
            gradient = np.stack([gradient, np.zeros_like(gradient)], start + i)
    together = gradient * same
    apart = gradient - together
    for i, span in enumerate(spans):
        old_counts, new_counts = _axes.pair_counts(span.old), _axes.pair_counts(span.new)
        old_counts = np.where(old_counts > 0, old_counts, np.inf)
        together = along(together, (span.agreeing * new_counts[:, None]).T / old_counts[:, None], start + i)
        apart = along(apart, (span.pairs * new_counts[:, None]).T / old_counts[:, None], start + i)
    return together + apart


def _of_every_window(size: Array, draws: Array, spans: Sequence[Span]) -> tuple[Array, Array]:
    """E y and E y^2 of every window: an entry that varies less wins less often, and one outside the map never.

    Args:
        size: root mean square of every entry, in units of the drawn ones: (leading..., positions...).
        draws: entries of a window: (samples, taps).
    """
    start = size.ndim - len(spans)
    entries = size
    for i, span in enumerate(spans):  # (leading..., windows, taps, ...)
        at = start + 2 * i
        outside = np.expand_dims(span.sources.T < 0, [*range(at), *range(at + 2, entries.ndim + 1)])
        entries = np.where(outside, -1.0, np.take(entries, span.sources.T, at))
    order = [*range(start), *range(start, entries.ndim, 2), *range(start + 1, entries.ndim, 2)]
    entries = entries.transpose(order)
    windows = entries.shape[: start + len(spans)]
    entries = entries.reshape(math.prod(windows), -1)
    largest = np.maximum(entries.max(1), 1e-300)
    rounded = np.where(entries < 0, -1.0, np.round(entries / largest[:, None] / ALIKE) * ALIKE)
    patterns, which = np.unique(rounded, axis=0, return_inverse=True)
    moments = np.array([_scaled_maximum(draws, pattern) for pattern in patterns])[which.ravel()]
    mean, second = moments[:, 0] * largest, moments[:, 1] * largest**2
    return mean.reshape(windows), second.reshape(windows)


def _scaled_maximum(draws: Array, pattern: Array) -> tuple[float, float]:
    inside = pattern >= 0
    y = (draws[:, inside] * pattern[inside]).max(1) if inside.any() else np.zeros(1)
    return float(y.mean()), float((y * y).mean())


# --- lattices ----------------------------------------------------------------------------------------


def _on_lattices(lineage: Lineage, spatial: int) -> Lineage:
    """The same function of a table that tells the positions of its last dimensions apart."""
    table = lineage.base.table
    for dim in range(len(table.dims) - spatial, len(table.dims)):
        table = single(table, dim)
        if not table.dims[dim]:
            raise NoRule("a maximum over a dimension of size 1")
        if table.shape[dim] > _axes.ENUMERABLE // 2:
            raise NoRule("a maximum over a long axis")
        if not table.dims[dim][0].has_positions:
            table = refined(table, dim, 0, _axes.spatial(table.shape[dim]))
    if table is lineage.base.table:
        return lineage
    table.notes.update({k: v for k, v in lineage.base.table.notes.items() if k == "shape"})
    base = lineage_of(table).base
    distance = np.abs(base.mean[:, None] - lineage.base.mean) + np.abs(base.deviation[:, None] - lineage.base.deviation)
    same = distance.argmin(1)  # finer groups, the same values
    trail = tuple((passed, slope[same]) for passed, slope in lineage.trail)
    return replace(lineage, base=base, value=lineage.value[same], slope=lineage.slope[same], trail=trail)
