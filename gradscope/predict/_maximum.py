"""Tables of maxima over windows of a function of a Gaussian: who wins is drawn once, then read off for every pair.

Windows at a border hold fewer entries, and entries there may vary less; both only change the scale of the maximum.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._gaussian import Lineage, lineage_of
from gradscope.predict._grid import grid
from gradscope.predict._rules import NoRule
from gradscope.predict._table import Table, agreeing_average, along, diagonal, firsts, refined, seconds
from gradscope.predict._view import single
from gradscope.predict._windows import CORRELATIONS, FARTHEST, Maxima, sampled

Sources = NDArray[np.int64]  # (taps, windows): the position that a tap of a window reads, -1 outside


@dataclass(frozen=True, eq=False)
class _Span:
    """One spatial axis on its way into windows.

    Attributes:
        old, new: the axis before and after; one position is kept as an axis until the end.
        sources: what every window reads.
        matrix: the average over a window: (windows, positions).
        pairs: the same for classes of pairs: (new classes, old classes).
        agreeing: the average over the entries that both windows of a class hold: (new classes, old classes).
        overlap: chance that two random entries of the two windows are the same one: (new classes,).
        distance: between the two windows: (new classes,).
    """

    old: Axis
    new: Axis
    sources: Sources
    matrix: Array
    pairs: Array
    agreeing: Array
    overlap: Array
    distance: Array

    @property
    def valid(self) -> NDArray[np.int64]:
        """How many entries every window holds: (windows,)."""
        return (self.sources >= 0).sum(0)

    def near(self, taps: int, farthest: int) -> Array:
        """What a window of this many entries and the next ones read: (windows, taps) positions from the first on."""
        whole = np.flatnonzero(self.valid == self.valid.max())
        used = self.sources[:, whole[len(whole) // 2]]
        step = int(np.diff(self.sources[:, whole], axis=1).min()) if len(whole) > 1 else 1
        own = (used - used.min())[:taps]
        return own + step * np.arange(min(farthest, self.new.size - 1) + 1)[:, None]


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
    average, one_by_one = base.correlation * base.scale, base.correlation * base.scale
    for i, span in enumerate(spans):
        average, one_by_one = along(average, span.pairs, start + i), along(one_by_one, span.agreeing, start + i)
    own = np.maximum(diagonal(average, new_axes), 1e-300)
    scale = np.sqrt(firsts(own, new_axes) * seconds(own, new_axes))
    correlation = np.clip(average / scale, 0.0, 1.0)
    correlation[tuple(slice(len(a.groups)) for a in new_axes)] = 1.0

    node = int(np.argmax(base.share.reshape(-1, base.mean.size).sum(0)))
    squares = lineage.value**2 @ grid()[1]
    size = base.share @ (squares / max(float(squares[node]), 1e-300))
    for i, span in enumerate(spans):
        size = along(size, span.matrix, start + i)
    full, mean, second = _by_shape(lineage, node, start, spans)
    shape = [1] * start + [s.new.size for s in spans]
    factor = np.sqrt(size * second.reshape(shape) / full.second_moment)
    product, same = _pairs(full, correlation, one_by_one / scale, axes[:start], spans)
    out_second = product * firsts(factor, new_axes) * seconds(factor, new_axes)
    out_mean = np.sqrt(size) * mean.reshape(shape)

    def backward(gradient: Array) -> list[Array]:
        return [full.slope * _routed(gradient, same, start, spans)]

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


def _span(sources: Sources, axis: Axis) -> _Span:
    windows = sources.shape[1]
    matrix = np.zeros((windows, axis.size))
    for source in sources:
        inside = source >= 0
        matrix[np.flatnonzero(inside), source[inside]] += 1.0
    matrix /= np.maximum(matrix.sum(1, keepdims=True), 1.0)
    new = _axes.spatial(windows)
    classes = _axes.pair_classes(new).ravel()
    counts = np.maximum(np.bincount(classes, minlength=new.classes), 1)
    both = [np.bincount(classes, np.outer(column, column).ravel(), new.classes) / counts for column in matrix.T]
    agreeing = np.pad(np.stack(both, 1), ((0, 0), (0, axis.classes - axis.size)))
    overlap = agreeing.sum(1)
    agreeing /= np.where(overlap > 0, overlap, np.inf)[:, None]
    apart = np.abs(np.subtract.outer(np.arange(windows), np.arange(windows)))
    distance = np.bincount(classes, apart.ravel(), new.classes) / counts
    return _Span(axis, new, sources, matrix, _partition.lift(matrix, axis, new)[0], agreeing, overlap, distance)


def _pairs(
    full: Maxima, correlation: Array, one_by_one: Array, leading: Sequence[Axis], spans: Sequence[_Span]
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
    at_one_place = np.ix_(*(np.arange(n) for n in product.shape[: len(leading)]), *(_at(s, 0) for s in spans))
    winners = alike[at_one_place] * np.interp(
        correlation[at_one_place], CORRELATIONS, [p.same for p in full.one_by_one]
    )
    same[at_one_place] = _beyond_chance(winners, spans, [0] * len(spans))
    for distances, pair in full.near.items():
        where = np.ix_(
            *(np.arange(len(a.groups)) for a in leading),
            *(_at(s, d) for s, d in zip(spans, distances, strict=True)),
        )
        product[where] = pair.product
        same[where] = _beyond_chance(np.asarray(pair.same), spans, distances)
    return product, same


def _likeness(full: Maxima, correlation: Array, one_by_one: Array, start: int, spans: Sequence[_Span]) -> Array:
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


def _at(span: _Span, distance: int) -> NDArray[np.int64]:
    return np.flatnonzero(span.distance == distance)


def _beyond_chance(same: Array, spans: Sequence[_Span], distances: Sequence[int]) -> Array:
    chance = np.ones(())
    for span, distance in zip(spans, distances, strict=True):
        chance = np.multiply.outer(chance, span.overlap[_at(span, distance)])
    return np.clip((same - chance) / np.maximum(1.0 - chance, 1e-9), 0.0, 1.0)


def _routed(gradient: Array, same: Array, start: int, spans: Sequence[_Span]) -> Array:
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


def _by_shape(lineage: Lineage, node: int, start: int, spans: Sequence[_Span]) -> tuple[Maxima, Array, Array]:
    """The largest window, and mean and second moment of every window by how many entries it holds: (windows...)."""
    counts = [s.valid for s in spans]
    axes, kernel = lineage.base.table.axes[start:], lineage.base.correlation[(0,) * start]
    largest = tuple(int(c.max()) for c in counts)
    known = {}
    for sizes in itertools.product(*(sorted({int(n) for n in c}) for c in counts)):
        farthest = FARTHEST if sizes == largest else 0
        taps = [s.near(n, farthest) for s, n in zip(spans, sizes, strict=True)]
        known[sizes] = sampled(lineage, node, axes, kernel, taps)
    shape = tuple(c.size for c in counts)
    mean, second = np.empty(shape), np.empty(shape)
    for sizes, found in known.items():
        where = np.ix_(*(np.flatnonzero(c == n) for c, n in zip(counts, sizes, strict=True)))
        mean[where], second[where] = found.mean, found.second_moment
    return known[largest], mean, second


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
