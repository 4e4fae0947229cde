"""Maxima over windows of a function of a Gaussian: sampled once for each shape of window, then read off by correlation.

Windows at a border hold fewer entries, and entries there may vary less; both only change the scale of the maximum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._gaussian import Lineage, lineage_of
from gradscope.predict._grid import grid
from gradscope.predict._marginal import from_samples
from gradscope.predict._rules import NoRule
from gradscope.predict._table import Table, agreeing_average, along, diagonal, firsts, refined, seconds
from gradscope.predict._view import single

SAMPLES = 20000  # windows drawn to tabulate a maximum
_CORRELATIONS = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.93, 0.98, 1.0])

Sources = NDArray[np.int64]  # (taps, windows): the position that a tap of a window reads, -1 outside


@dataclass(frozen=True, eq=False)
class _Span:
    """One spatial axis on its way into windows.

    Attributes:
        old, new: the axis before and after; one position is kept as an axis until the end.
        sources: what every window reads.
        matrix: the average over a window: (windows, positions).
        pairs: the same for classes of pairs: (new classes, old classes).
    """

    old: Axis
    new: Axis
    sources: Sources
    matrix: Array
    pairs: Array

    @property
    def valid(self) -> NDArray[np.int64]:
        """How many entries every window holds: (windows,)."""
        return (self.sources >= 0).sum(0)


@dataclass(frozen=True, eq=False)
class _Sampled:
    """Of the maximum over one window: mean, E y y' at the tabulated correlations, E of the squared slope, shape."""

    mean: float
    products: Array
    slope: float
    shape: Array | None


def maximum(x: Table, windows: Sequence[Sources]) -> Table:
    """The largest entry of every window along the last dimensions of x.

    Raises:
        NoRule: an axis is too long, or a single position.
    """
    lineage = _on_lattices(lineage_of(x), len(windows))
    base = lineage.base
    axes, start = base.table.axes, len(base.table.axes) - len(windows)
    spans = [_span(sources, axes[start + i]) for i, sources in enumerate(windows)]
    new_axes = [*axes[:start], *(s.new for s in spans)]
    covariance = base.correlation * base.scale
    for i, span in enumerate(spans):
        covariance = along(covariance, span.pairs, start + i)
    own = np.maximum(diagonal(covariance, new_axes), 1e-300)
    correlation = np.clip(covariance / np.sqrt(firsts(own, new_axes) * seconds(own, new_axes)), 0.0, 1.0)
    correlation[tuple(slice(len(a.groups)) for a in new_axes)] = 1.0

    node = int(np.argmax(base.share.reshape(-1, base.mean.size).sum(0)))
    squares = lineage.value**2 @ grid()[1]
    size = base.share @ (squares / max(float(squares[node]), 1e-300))
    for i, span in enumerate(spans):
        size = along(size, span.matrix, start + i)
    full, mean, second = _by_shape(lineage, node, start, spans)
    shape = [1] * start + [s.new.size for s in spans]
    scale = np.sqrt(size * second.reshape(shape) / full.products[-1])
    out_second = np.interp(correlation, _CORRELATIONS, full.products)
    out_second = out_second * firsts(scale, new_axes) * seconds(scale, new_axes)
    out_mean = np.sqrt(size) * mean.reshape(shape)

    def backward(gradient: Array) -> list[Array]:
        return [full.slope * _routed(gradient, start, spans)]

    gone = [start + i for i, s in enumerate(spans) if s.new.size == 1]
    kept = base.table.dims[: len(base.table.dims) - len(windows)]
    dims = (*kept, *((s.new,) if s.new.size > 1 else () for s in spans))
    out = Table(dims, _first(out_mean, gone), _first(out_second, gone), (base.table,), backward)
    if x is not base.table:
        out.passes = lambda gradient: [(x, agreeing_average(_routed(gradient, start, spans), axes))]
    if full.shape is not None:
        out.notes["shape"] = full.shape
    return out


def _first(array: Array, axes: Sequence[int]) -> Array:
    """Without axes of one position: of their classes, only "agree" has pairs."""
    for axis in reversed(axes):
        array = np.take(array, 0, axis)
    return array


def _span(sources: Sources, axis: Axis) -> _Span:
    windows = sources.shape[1]
    matrix = np.zeros((windows, axis.size))
    for source in sources:
        inside = source >= 0
        matrix[np.flatnonzero(inside), source[inside]] += 1.0
    matrix /= np.maximum(matrix.sum(1, keepdims=True), 1.0)
    new = _axes.spatial(windows)
    return _Span(axis, new, sources, matrix, _partition.lift(matrix, axis, new)[0])


def _routed(gradient: Array, start: int, spans: Sequence[_Span]) -> Array:
    """Each gradient goes to the one position that was the largest: which one is uniform over the window."""
    for i, span in enumerate(spans):
        if span.new.size == 1:  # its second class has no pairs
            gradient = np.stack([gradient, np.zeros_like(gradient)], start + i)
    alone = np.zeros_like(gradient)
    agree = (*(slice(None),) * start, *(slice(len(s.new.groups)) for s in spans))
    alone[agree] = gradient[agree]
    apart = gradient - alone
    for i, span in enumerate(spans):
        old_counts, new_counts = _axes.pair_counts(span.old), _axes.pair_counts(span.new)
        old_counts = np.where(old_counts > 0, old_counts, np.inf)
        shared = _partition.shared_taps(span.sources, span.old, span.new)
        valid = np.ones(span.new.classes)
        valid[: span.valid.size] = span.valid
        shared = shared / valid[:, None]
        alone = along(alone, (shared * new_counts[:, None]).T / old_counts[:, None], start + i)
        apart = along(apart, (span.pairs * new_counts[:, None]).T / old_counts[:, None], start + i)
    return alone + apart


# --- sampling ----------------------------------------------------------------------------------------


def _by_shape(lineage: Lineage, node: int, start: int, spans: Sequence[_Span]) -> tuple[_Sampled, Array, Array]:
    """The largest window, and mean and second moment of every window by how many entries it holds: (windows...)."""
    counts = [s.valid for s in spans]
    known = {
        taps: _sampled(lineage, node, start, taps)
        for taps in itertools.product(*(sorted({int(n) for n in c}) for c in counts))
    }
    shape = tuple(c.size for c in counts)
    mean, second = np.empty(shape), np.empty(shape)
    for taps, found in known.items():
        where = np.ix_(*(np.flatnonzero(c == n) for c, n in zip(counts, taps, strict=True)))
        mean[where], second[where] = found.mean, found.products[-1]
    return known[max(known, key=math.prod)], mean, second


def _sampled(lineage: Lineage, node: int, start: int, taps: Sequence[int]) -> _Sampled:
    """By drawing windows with the correlation of neighbouring positions."""
    z, weights = grid()
    offsets = np.stack([o.ravel() for o in np.meshgrid(*[np.arange(k) for k in taps], indexing="ij")])
    kernel = lineage.base.correlation[(0,) * start]
    axes = lineage.base.table.axes[start:]
    covariance = np.ones((offsets.shape[1],) * 2)
    for i, j in itertools.combinations(range(offsets.shape[1]), 2):
        classes = tuple(_neighbour(a, abs(int(o[i] - o[j]))) for a, o in zip(axes, offsets, strict=True))
        covariance[i, j] = covariance[j, i] = kernel[classes]
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((SAMPLES, offsets.shape[1])) @ root.T for _ in range(2))
    first = np.interp(one, z, lineage.value[node])
    y = first.max(1)
    winner = np.take_along_axis(one, first.argmax(1)[:, None], 1)[:, 0]
    slope = np.interp(winner, z, lineage.slope[node])
    products = [
        float((y * np.interp(rho * one + math.sqrt(1 - rho * rho) * other, z, lineage.value[node]).max(1)).mean())
        for rho in _CORRELATIONS
    ]
    products[0] = float(y.mean()) ** 2
    return _Sampled(
        float(y.mean()), np.maximum.accumulate(products), float((slope**2).mean()), from_samples(y, z, weights)
    )


def _neighbour(axis: Axis, distance: int) -> int:
    """The class of two positions near the middle at this distance."""
    middle = axis.size // 2
    return int(_axes.pair_classes(axis)[middle, (middle + distance) % axis.size])


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
