"""Moment tables: the mean and the second moments of one tensor over random weights and inputs, by class of index pair.

    mean[g...]    E x_I for I in group g of every axis
    second[c...]  E x_I x_J for a pair (I, J) of class c on every axis

Every tensor dimension is a product of axes, so that a view forgets nothing. Whatever maps a table linearly has its
backward for free: with g = J^T r, the table of E g_I g_J is the adjoint of the forward map with respect to the number
of pairs in every class.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._outcome import NoRule

if TYPE_CHECKING:
    from torch import Tensor

    from gradscope.predict._gaussian import Lineage

Role = Literal["same", "mix", "function", "normalized", "sum", "times", "guess"]
Dims = tuple[tuple[Axis, ...], ...]
Backward = Callable[[Array], Sequence["Array | None"]]

LARGEST = 1 << 26  # entries of a table

_order = itertools.count()


@dataclass(eq=False)
class Table:
    """What is known of one tensor.

    Attributes:
        dims: the axes that make up every dimension; none for a dimension of size 1.
        mean: (groups of every axis...).
        second: (classes of every axis...).
        parents: the tables it was computed from.
        backward: gradient table -> the gradient table that every parent receives.
        value: the tensor itself, where it does not depend on weights or inputs.
        lineage: the function of a Gaussian table that it is, if it is one.
        notes: what later rules may want to know of its origin, by name.
        gradient: E g_I g_J of the loss's gradient, once `propagate` has run.
        shadow: E g^2 of the part of the gradient that went straight to the base of a lineage.
        conditional: E g^2 given the value of the Gaussian behind the lineage, on the grid; None where it is constant.
        condition: like `backward`, from `conditional` to those of the parents.
        passes: gradient table -> the tables it skips and E g^2 of each, where the lineage does not tell.
        role: how it was computed, for the propagation of fluctuations between initializations.
        is_initial: whether it depends on parameters and constants only.
    """

    dims: Dims
    mean: Array
    second: Array
    parents: tuple[Table, ...] = ()
    backward: Backward | None = None
    value: Tensor | None = None
    lineage: Lineage | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    gradient: Array | None = None
    shadow: float = 0.0
    conditional: Array | None = None
    condition: Callable[[Array], Sequence[Array | None]] | None = None
    passes: Callable[[Array], list[tuple[Table, float]]] | None = None
    role: Role = "same"
    is_initial: bool = False

    def __post_init__(self) -> None:
        self.order = next(_order)
        self.sent: list[float] = []  # E g^2 that every parent received from here
        self.tilt = 0.0  # how far the gradient leans towards the value: see `_gaussian._tilt`
        self.skipped: list[Table] = []  # what the gradient passed by
        if self.parents and all(p.is_initial for p in self.parents):
            self.is_initial = True

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(axis for dim in self.dims for axis in dim)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(math.prod(axis.size for axis in dim) for dim in self.dims)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def passed_by(self, gradient: Array) -> list[tuple[Table, float]]:
        """The tables that a gradient skips on its way to the base of the lineage, and E g^2 that each would get."""
        if self.passes is not None:
            return self.passes(gradient)
        if self.role != "function" or self.lineage is None:
            return []
        return self.lineage.shares(diagonal(gradient, self.axes))

    @property
    def average(self) -> float:
        """E x, over all elements."""
        return point_average(self.mean, self.axes)

    @property
    def second_moment(self) -> float:
        """E x^2, over all elements."""
        return agreeing_average(self.second, self.axes)

    @property
    def gradient_second_moment(self) -> float | None:
        """E g^2, over all elements; None where no gradient arrived."""
        if self.gradient is None:
            return self.shadow or None
        return max(0.0, agreeing_average(self.gradient, self.axes)) + self.shadow  # what cancels leaves rounding


def point_average(profile: Array, axes: Sequence[Axis]) -> float:
    """The average over positions of a profile (groups...)."""
    return float(_contract(profile, [_axes.average_points(a) for a in axes]))


def agreeing_average(second: Array, axes: Sequence[Axis]) -> float:
    """The average over pairs (I, I)."""
    return float(_contract(second, [_axes.average_agreeing(a) for a in axes]))


def pair_average(second: Array, axes: Sequence[Axis]) -> float:
    """The average over all pairs (I, J)."""
    return float(_contract(second, [_axes.average_pairs(a) for a in axes]))


def _contract(array: Array, weights: Sequence[Array]) -> Array:
    for weight in reversed(weights):
        array = array @ weight
    return array


def along(array: Array, matrix: Array, axis: int) -> Array:
    """Apply `matrix` (new, old) along one axis of `array`."""
    return np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)


def along_all(array: Array, matrices: Sequence[Array]) -> Array:
    """Apply one matrix along every axis."""
    for i, matrix in enumerate(matrices):
        array = along(array, matrix, i)
    return array


def diagonal(second: Array, axes: Sequence[Axis]) -> Array:
    """E x_I^2 for every group: (groups...)."""
    return second[tuple(slice(len(a.groups)) for a in axes)]


def firsts(profile: Array, axes: Sequence[Axis]) -> Array:
    """A profile at the first member of every class's pairs: (groups...) -> (classes...)."""
    return along_all(profile, [_axes.ends(a)[0] for a in axes])


def seconds(profile: Array, axes: Sequence[Axis]) -> Array:
    """A profile at the second member of every class's pairs: (groups...) -> (classes...)."""
    return along_all(profile, [_axes.ends(a)[1] for a in axes])


def paired(profile: Array, axes: Sequence[Axis]) -> Array:
    """The average of profile(I) profile(J) over every class's pairs: (groups...) -> (classes...).

    The pairs of one distance on a lattice lie at many places, and both ends of a pair at about the same one; along
    several axes the profile is taken as a product of one for each.
    """
    out = firsts(profile, axes) * seconds(profile, axes)
    for i, axis in enumerate(axes):
        if axis.is_lattice:
            own = profile.mean(tuple(j for j in range(len(axes)) if j != i))
            out = out * _axes.together(axis, own).reshape([-1] + [1] * (len(axes) - 1 - i))
    return out


# --- making tables -----------------------------------------------------------------------------------


def axes_of(shape: Sequence[int]) -> Dims:
    """One exchangeable axis for every dimension that is longer than 1."""
    return tuple((_axes.exchangeable(n),) if n > 1 else () for n in shape)


def independent(shape: Sequence[int], mean: float, second_moment: float) -> Table:
    """A tensor of independent, identically distributed entries."""
    dims = axes_of(shape)
    axes = [a for dim in dims for a in dim]
    second = np.full((2,) * len(axes), mean * mean)
    second[(0,) * len(axes)] = second_moment
    return Table(dims, np.full((1,) * len(axes), mean), second, is_initial=True)


def constant(shape: Sequence[int], value: float) -> Table:
    """A tensor whose entries all equal `value`."""
    return independent(shape, value, value * value)


# --- linear maps along axes --------------------------------------------------------------------------


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
