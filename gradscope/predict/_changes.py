"""Linear changes of the axes of a table, each with its backward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._outcome import NoRule
from gradscope.predict._table import LARGEST, Dims, Table

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Change:
    """Replace `len(old)` neighbouring axes by `new`: pairs (new classes..., old classes...), points likewise."""

    old: tuple[Axis, ...]
    new: tuple[Axis, ...]
    pairs: Array
    points: Array


def change(x: Table, dim: int, offset: int, how: Change) -> Table:
    """Map the axes `offset`, `offset + 1`, ... of one dimension linearly."""
    at = sum(len(d) for d in x.dims[:dim]) + offset
    taken, given = len(how.old), len(how.new)
    if math.prod(how.pairs.shape[:given]) * x.second.size // max(1, math.prod(how.pairs.shape[given:])) > LARGEST:
        raise NoRule("a table that would not fit into memory")
    new_dim = (*x.dims[dim][:offset], *how.new, *x.dims[dim][offset + taken :])
    counts_new = _outer([_axes.pair_counts(a) for a in how.new])
    counts_old = _outer([_axes.pair_counts(a) for a in how.old])
    weighted = how.pairs * counts_new.reshape(counts_new.shape + (1,) * taken)
    safe = np.where(counts_old > 0, counts_old, np.inf)

    def backward(gradient: Array) -> list[Array]:
        pulled = np.tensordot(weighted, gradient, (range(given), range(at, at + given)))
        pulled = pulled / safe.reshape(safe.shape + (1,) * (pulled.ndim - taken))
        return [np.moveaxis(pulled, range(taken), range(at, at + taken))]

    return Table(
        (*x.dims[:dim], new_dim, *x.dims[dim + 1 :]),
        _replace(x.mean, how.points, at, taken, given),
        _replace(x.second, how.pairs, at, taken, given),
        (x,),
        backward,
    )


def _replace(array: Array, matrix: Array, at: int, taken: int, given: int) -> Array:
    moved = np.tensordot(matrix, array, (range(given, given + taken), range(at, at + taken)))
    return np.moveaxis(moved, range(given), range(at, at + given))


def _outer(vectors: Sequence[Array]) -> Array:
    out = np.ones(())
    for vector in vectors:
        out = np.multiply.outer(out, vector)
    return out


def refined(x: Table, dim: int, offset: int, new: Axis) -> Table:
    """The same tensor with another partition of one axis."""
    old = x.dims[dim][offset]
    if old == new:
        return x
    pairs, points = _partition.recast(old, new)
    return change(x, dim, offset, Change((old,), (new,), pairs, points))


def total(x: Table, dim: int, offset: int = 0, *, scale: float = 1.0) -> Table:
    """Sum over one axis, times `scale`."""
    axis = x.dims[dim][offset]
    pairs, points = _axes.pair_counts(axis) * scale**2, np.array(axis.groups, dtype=float) * scale
    return change(x, dim, offset, Change((axis,), (), pairs, points))


def expanded(x: Table, dim: int, axes: Sequence[Axis]) -> Table:
    """A dimension of size 1 repeated along `axes`."""
    for i, axis in enumerate(axes):
        x = change(x, dim, i, Change((), (axis,), np.ones(axis.classes), np.ones(len(axis.groups))))
    return x


def relabelled(x: Table, dims: Dims) -> Table:
    """The same axes in the same order, distributed differently over dimensions."""
    if dims == x.dims:
        return x
    return Table(dims, x.mean, x.second, (x,), lambda gradient: [gradient], notes=x.notes)


def scaled(x: Table, factor: float) -> Table:
    """The tensor times a number."""
    return Table(x.dims, x.mean * factor, x.second * factor**2, (x,), lambda gradient: [gradient * factor**2])


def permuted(x: Table, order: Sequence[int]) -> Table:
    """Dimensions in another order."""
    starts = np.cumsum([0, *(len(d) for d in x.dims)])
    axes = [i for d in order for i in range(starts[d], starts[d + 1])]
    inverse = np.argsort(axes) if axes else axes
    return Table(
        tuple(x.dims[d] for d in order),
        x.mean.transpose(axes),
        x.second.transpose(axes),
        (x,),
        lambda gradient: [gradient.transpose(inverse)],
    )
