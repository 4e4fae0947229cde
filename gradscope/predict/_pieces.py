"""Parts of an axis: taking consecutive positions out of a table, and putting tables side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._changes import Change, change, refined, relabelled
from gradscope.predict._table import Table, along
from gradscope.predict._view import aligned_dim, single

LARGE = 200_000  # entries of a table above which a concatenation keeps few groups apart
FEW = 5


def taken(x: Table, dim: int, start: int, length: int) -> Table:
    """Positions start ... start + length of one dimension; the dimension stays, with size 1 where length is 1."""
    if length == x.shape[dim]:
        return x
    inner = _inner_axes(x, dim, start, length)
    if inner is not None:
        return inner
    x = single(x, dim)
    axis = x.dims[dim][0]
    new, pairs, points = _cut(axis, start, length)
    return change(x, dim, 0, Change((axis,), new, pairs, points))


def _inner_axes(x: Table, dim: int, start: int, length: int) -> Table | None:
    """Whole slices of the outermost axis of a dimension that has several."""
    axes = x.dims[dim]
    if len(axes) < 2:
        return None
    inner = x.shape[dim] // axes[0].size
    if start % inner or length % inner:
        return None
    new, pairs, points = _cut(axes[0], start // inner, length // inner)
    return change(x, dim, 0, Change((axes[0],), new, pairs, points))


@lru_cache(1024)
def _cut(axis: Axis, start: int, length: int) -> tuple[tuple[Axis, ...], Array, Array]:
    edges = np.concatenate([[0], np.cumsum(axis.groups)])
    kept, sizes = [], []
    for g in range(len(axis.groups)):
        shared = min(edges[g + 1], start + length) - max(edges[g], start)
        if shared > 0:
            kept.append(g)
            sizes.append(int(shared))
    groups = len(axis.groups)
    if axis.is_lattice:
        new = _axes.spatial(length, axis.reach)
        inside = slice(start, start + length)
        pairs = _partition.tally(new, _axes.pair_classes(axis)[inside, inside], axis.classes)
    else:
        new = Axis(tuple(sizes))
        pairs = np.zeros((new.classes, axis.classes))
        pairs[np.arange(len(kept)), kept] = 1.0
        for i, g in enumerate(kept):
            for j, h in enumerate(kept):
                pairs[len(kept) * (1 + i) + j, groups * (1 + g) + h] = 1.0
    points = np.zeros((len(kept), groups))
    points[np.arange(len(kept)), kept] = 1.0
    if length == 1:
        return (), pairs[0], points[0]
    return (new,), pairs, points


def concatenated(tables: Sequence[Table], dim: int) -> Table:
    """Tables side by side along one dimension; each keeps groups of its own."""
    if len(tables) == 1:
        return tables[0]
    tables = [single(t, dim) if t.dims[dim] else _unit(t, dim) for t in tables]
    for other in range(len(tables[0].dims)):
        if other != dim:
            for _ in range(2):  # the last partition must reach the first table
                for i in range(len(tables) - 1):
                    a, b = aligned_dim(tables[i], other, tables[i + 1], other)
                    tables = [*tables[:i], a, b, *tables[i + 2 :]]
    tables = [_grouped(t, dim) for t in tables]
    at = sum(len(d) for d in tables[0].dims[:dim])
    parts = [t.dims[dim][0] for t in tables]
    axis = Axis(tuple(g for part in parts for g in part.groups))
    starts = np.cumsum([0, *(len(p.groups) for p in parts)])
    groups = len(axis.groups)
    mean = np.concatenate([np.moveaxis(t.mean, at, 0) for t in tables])
    moved = [np.moveaxis(t.second, at, 0) for t in tables]
    second = np.zeros((axis.classes, *moved[0].shape[1:]))
    axes = list(tables[0].axes)
    del axes[at]
    owners = [np.array(_classes_of(part, start, groups)) for part, start in zip(parts, starts[:-1], strict=True)]
    for i, (table, own) in enumerate(zip(tables, owners, strict=True)):
        second[own] = moved[i]
        for j, other in enumerate(tables):
            if j != i:
                left, right = np.moveaxis(table.mean, at, 0), np.moveaxis(other.mean, at, 0)
                for a in range(left.shape[0]):
                    for b in range(right.shape[0]):
                        cross = _ends_product(left[a], right[b], axes)
                        second[groups * (1 + starts[i] + a) + starts[j] + b] = cross

    def backward(gradient: Array) -> list[Array]:
        g = np.moveaxis(gradient, at, 0)
        return [np.moveaxis(g[own], 0, at) for own in owners]

    dims = (*tables[0].dims[:dim], (axis,), *tables[0].dims[dim + 1 :])
    out = Table(dims, np.moveaxis(mean, 0, at), np.moveaxis(second, 0, at), tuple(tables), backward)
    return out


def bundled(tables: Sequence[Table], dim: int) -> Table:
    """Tables side by side; many large ones are first put together in a few bundles of like ones, each of one group."""
    rest = max(t.second.size // max(1, math.prod(a.classes for a in t.dims[dim])) for t in tables)
    if len(tables) <= FEW or rest * len(tables) ** 2 <= LARGE:
        return concatenated(tables, dim)
    edges = _likest([math.log(max(_variance(t, dim), 1e-300)) for t in tables], FEW)
    bundles = [bundled(tables[i:j], dim) for i, j in itertools.pairwise(edges)]
    return concatenated([refined(single(b, dim), dim, 0, _axes.exchangeable(b.shape[dim])) for b in bundles], dim)


def _variance(x: Table, dim: int) -> float:
    """What varies over all other dimensions at one position of this one: what a normalization divides by."""
    kept = slice(sum(len(d) for d in x.dims[:dim]), sum(len(d) for d in x.dims[: dim + 1]))
    agreeing, common = x.second, x.second
    for i in reversed(range(len(x.axes))):
        same = _axes.average_agreeing(x.axes[i])
        agreeing = np.tensordot(agreeing, same, (i, 0))
        common = np.tensordot(common, same if kept.start <= i < kept.stop else _axes.average_pairs(x.axes[i]), (i, 0))
    return float(agreeing - common)


def _likest(values: Sequence[float], parts: int) -> list[int]:
    """Edges of the consecutive parts whose values have the smallest sum of squares around their means."""

    @lru_cache(None)
    def best(end: int, count: int) -> tuple[float, tuple[int, ...]]:
        if count == 1:
            return float(np.var(values[:end])) * end, (0, end)
        options = []
        for cut in range(count - 1, end):
            cost, edges = best(cut, count - 1)
            options.append((cost + float(np.var(values[cut:end])) * (end - cut), (*edges, end)))
        return min(options)

    return [*best(len(values), parts)[1]]


def _classes_of(part: Axis, start: int, groups: int) -> list[int]:
    own = range(len(part.groups))
    return [start + g for g in own] + [groups * (1 + start + g) + start + h for g in own for h in own]


def _ends_product(left: Array, right: Array, axes: Sequence[Axis]) -> Array:
    for i, axis in enumerate(axes):
        left, right = along(left, _axes.ends(axis)[0], i), along(right, _axes.ends(axis)[1], i)
    return left * right


def _unit(x: Table, dim: int) -> Table:
    """A dimension of size 1 with an axis of its own."""
    axis = Axis((1,))
    pairs = np.array([1.0, 0.0])
    return change(x, dim, 0, Change((), (axis,), pairs, np.ones(1)))


def _grouped(x: Table, dim: int) -> Table:
    """A lattice cannot stand beside other groups; it becomes exchangeable."""
    axis = x.dims[dim][0]
    return refined(x, dim, 0, _axes.exchangeable(axis.size)) if axis.is_lattice else x


def stacked(tables: Sequence[Table], dim: int) -> Table:
    """Tables side by side along a new dimension."""
    return concatenated([relabelled(t, (*t.dims[:dim], (), *t.dims[dim:])) for t in tables], dim)
