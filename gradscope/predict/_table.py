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

from gradscope.predict import _axes
from gradscope.predict._axes import Array, Axis

if TYPE_CHECKING:
    from torch import Tensor

    from gradscope.predict._gaussian import Lineage

Role = Literal["same", "mix", "function", "normalized", "sum", "times", "guess"]
Dims = tuple[tuple[Axis, ...], ...]
Backward = Callable[[Array], Sequence["Array | None"]]

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
    role: Role = "same"
    is_initial: bool = False

    def __post_init__(self) -> None:
        self.order = next(_order)
        self.sent: list[float] = []  # E g^2 that every parent received from here
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
        """The tables that a gradient skips on its way to the base of the lineage, and E g^2 that each would have got."""
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
        return agreeing_average(self.gradient, self.axes) + self.shadow


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
    pairs, points = _axes.recast(old, new)
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


# --- factorization of dimensions ---------------------------------------------------------------------


def regrouped(x: Table, dim: int, sizes: Sequence[int]) -> Table:
    """One dimension with axes of exactly these sizes, by splitting and merging."""
    offset = 0
    sizes = [n for n in sizes if n > 1]
    while offset < len(sizes):
        axis, wanted = x.dims[dim][offset], sizes[offset]
        if axis.size == wanted:
            offset += 1
        elif axis.size % wanted == 0:
            a, b, pairs, points = _axes.split(axis, axis.size // wanted)
            x = change(x, dim, offset, Change((axis,), (a, b), pairs, points))
        else:
            following = x.dims[dim][offset + 1]
            merged, pairs, points = _axes.merge(axis, following)
            x = change(x, dim, offset, Change((axis, following), (merged,), pairs, points))
    return x


def viewed(x: Table, shape: Sequence[int]) -> Table:
    """The tensor reshaped in row-major order."""
    flat = relabelled(x, (x.axes,))
    sizes = _axis_sizes([a.size for a in flat.axes], shape)
    flat = regrouped(flat, 0, [n for dim in sizes for n in dim])
    left = iter(flat.axes)
    return relabelled(flat, tuple(tuple(next(left) for _ in dim) for dim in sizes))


def _axis_sizes(old: list[int], shape: Sequence[int]) -> list[list[int]]:
    """Sizes of the axes of every new dimension: old ones where they fit, split or merged where they do not."""
    left = list(old)
    dims: list[list[int]] = []
    for size in shape:
        dim: list[int] = []
        missing = size
        while missing > 1:
            axis = left.pop(0)
            while missing % axis and axis % missing:
                axis *= left.pop(0)
            if missing % axis == 0:
                dim.append(axis)
                missing //= axis
            else:
                dim.append(missing)
                left.insert(0, axis // missing)
                missing = 1
        dims.append(dim)
    return dims


def single(x: Table, dim: int) -> Table:
    """One dimension as a single axis."""
    return regrouped(x, dim, [x.shape[dim]])


# --- two tables side by side -------------------------------------------------------------------------


def aligned(x: Table, y: Table) -> tuple[Table, Table]:
    """Both broadcast to one shape with the same axes."""
    x, y = _padded(x, len(y.dims)), _padded(y, len(x.dims))
    for dim in range(len(x.dims)):
        x, y = aligned_dim(x, dim, y, dim)
    return x, y


def aligned_dim(x: Table, dx: int, y: Table, dy: int) -> tuple[Table, Table]:
    """Dimension dx of x and dy of y with the same axes; a dimension of size 1 is repeated."""
    if not x.dims[dx] or not y.dims[dy]:
        return expanded(x, dx, y.dims[dy]) if not x.dims[dx] else x, expanded(y, dy, x.dims[dx]) if not y.dims[
            dy
        ] else y
    sizes_x, sizes_y = [a.size for a in x.dims[dx]], [a.size for a in y.dims[dy]]
    if sizes_x != sizes_y:
        sizes = _common_factors(sizes_x, sizes_y)
        x, y = regrouped(x, dx, sizes), regrouped(y, dy, sizes)
    for i in range(len(x.dims[dx])):
        axis = _axes.common(x.dims[dx][i], y.dims[dy][i])
        x, y = refined(x, dx, i, axis), refined(y, dy, i, axis)
    return x, y


def _common_factors(a: list[int], b: list[int]) -> list[int]:
    """The finest factorization that both can be split into, merging where neither divides the other."""
    a, b, out = list(a), list(b), []
    while a:
        m, n = a.pop(0), b.pop(0)
        while m % n and n % m:
            if m < n:
                m *= a.pop(0)
            else:
                n *= b.pop(0)
        low = min(m, n)
        out.append(low)
        if m > low:
            a.insert(0, m // low)
        if n > low:
            b.insert(0, n // low)
    return out


def _padded(x: Table, ndim: int) -> Table:
    return relabelled(x, ((),) * (ndim - len(x.dims)) + x.dims)


# --- backward ----------------------------------------------------------------------------------------


def ancestors(tables: Sequence[Table]) -> list[Table]:
    """The tables and everything they were computed from, in order of computation."""
    seen: dict[int, Table] = {}
    stack = list(tables)
    while stack:
        table = stack.pop()
        if table.order not in seen:
            seen[table.order] = table
            stack.extend(table.parents)
    return [seen[order] for order in sorted(seen)]


def propagate(output: Table, cotangent: Array) -> None:
    """Carry E g_I g_J from `output` to every table it was computed from."""
    output.gradient = cotangent
    for table in reversed(ancestors([output])):
        if table.gradient is None or table.backward is None:
            continue
        conditions: Sequence[Array | None] = [None] * len(table.parents)
        if table.condition is not None:
            average = agreeing_average(table.gradient, table.axes)
            conditions = table.condition(np.asarray(average) if table.conditional is None else table.conditional)
        for passed, moment in table.passed_by(table.gradient):
            passed.shadow += moment
        received = table.backward(table.gradient)
        for parent, gradient, condition in zip(table.parents, received, conditions, strict=True):
            table.sent.append(0.0 if gradient is None else agreeing_average(gradient, parent.axes))
            if gradient is not None:
                _receive(parent, gradient, condition)


def pulled(output: Table, sources: Sequence[Table]) -> float | None:
    """Sum over the entries of `sources` of E (J^T r)^2, J from them to `output` and r ~ N(0, 1): ||J||_F^2.

    None where `output` does not depend on them in a way that is known.
    """
    wanted = {s.order: s for s in sources}
    first = min(wanted)
    cotangent = np.zeros_like(output.second)
    cotangent[tuple(slice(len(a.groups)) for a in output.axes)] = 1.0
    gradients: dict[int, Array] = {output.order: cotangent}
    tables = {output.order: output}
    found = 0.0
    is_reached = False
    while tables:
        table = tables.pop(max(tables))
        gradient = gradients.pop(table.order)
        if table.order in wanted:
            found, is_reached = found + agreeing_average(gradient, table.axes) * table.size, True
            continue
        for passed, moment in table.passed_by(gradient):
            if passed.order in wanted:
                found, is_reached = found + moment * passed.size, True
        if table.backward is None or table.order < first:
            continue
        for parent, received in zip(table.parents, table.backward(gradient), strict=True):
            if received is not None and not parent.is_initial:
                tables[parent.order] = parent
                known = gradients.get(parent.order)
                gradients[parent.order] = received if known is None else known + received
    return found if is_reached else None


def _receive(table: Table, gradient: Array, condition: Array | None) -> None:
    """Add a gradient, and what is known of it given the value of the table."""
    if condition is not None or table.conditional is not None:
        known = 0.0 if table.gradient is None else agreeing_average(table.gradient, table.axes)
        before = known if table.conditional is None else table.conditional
        table.conditional = before + (agreeing_average(gradient, table.axes) if condition is None else condition)
    table.gradient = gradient if table.gradient is None else table.gradient + gradient
