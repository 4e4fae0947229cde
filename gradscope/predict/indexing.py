"""Slices, splits, concatenations and paddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array
from gradscope.predict._changes import Change, change, expanded, refined, relabelled
from gradscope.predict._combine import added, multiplied
from gradscope.predict._fixed import table_of_value
from gradscope.predict._pieces import bundled, concatenated, stacked, taken
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table, agreeing_average, constant, independent
from gradscope.predict._view import single
from gradscope.predict.embedding import looked_up


@rule("select")
def select(call: Call) -> Table:
    """One position of a dimension, which disappears."""
    x, dim, index = call.args
    dim %= len(x.dims)
    return _dropped(taken(x, dim, index % x.shape[dim], 1), dim)


@rule("slice", "narrow")
def slice_(call: Call) -> Table:
    """Some positions of a dimension."""
    x = call.args[0]
    dim = call.given(1, "dim", 0) % len(x.dims)
    start, end, step = call.given(2, "start"), call.given(3, "end"), call.given(4, "step", 1)
    size = x.shape[dim]
    if call.name == "narrow":
        end, step = start + end, 1
    positions = range(size)[start:end:step]
    if step == 1:
        return taken(x, dim, positions.start, len(positions))
    return picked(x, dim, np.array(positions))


@rule("split", "chunk", "split_with_sizes", "unsafe_split", "unsafe_chunk", "tensor_split", "unsafe_split_with_sizes")
def split(call: Call) -> list[Table]:
    """Consecutive parts of a dimension."""
    x = call.args[0]
    dim = call.given(2, "dim", 0) % len(x.dims)
    out, start = [], 0
    for shape in call.shapes:
        out.append(taken(x, dim, start, shape[dim]))
        start += shape[dim]
    return out


@rule("unbind")
def unbind(call: Call) -> list[Table]:
    """Every position of a dimension."""
    x = call.args[0]
    dim = call.given(1, "dim", 0) % len(x.dims)
    return [_dropped(taken(x, dim, i, 1), dim) for i in range(len(call.shapes))]


@rule("cat", "concatenate")
def concatenate(call: Call) -> Table:
    """Tensors side by side."""
    tables = [t for t in call.args[0] if t.size and len(t.dims) == len(call.shape)]
    return bundled(tables, call.given(1, "dim", 0) % len(call.shape))


@rule("stack")
def stack(call: Call) -> Table:
    """Tensors side by side along a new dimension."""
    return stacked(call.args[0], call.given(1, "dim", 0) % len(call.shape))


@rule("constant_pad_nd")
def pad(call: Call) -> Table:
    """A constant border, or a cut where a padding is negative."""
    x, padding = call.args[:2]
    value = float(call.given(2, "value", 0.0))
    if value == -math.inf and min(padding) >= 0:
        return _outside(x, call.shape, padding)
    for i in range(0, len(padding), 2):
        dim = len(x.dims) - 1 - i // 2
        before, after = padding[i], padding[i + 1]
        if before < 0 or after < 0:
            x = taken(x, dim, max(0, -before), x.shape[dim] + min(0, before) + min(0, after))
        before, after = max(0, before), max(0, after)
        if before or after:
            x = bordered(x, dim, before, after, value)
    return x


def _outside(x: Table, shape: tuple[int, ...], padding: Sequence[int]) -> Table:
    """A border that no maximum takes; to anything but a maximum it is infinite."""
    out = independent(shape, -math.inf, math.inf)
    out.is_initial, out.parents, out.backward = x.is_initial, (x,), lambda gradient: [None]
    out.notes["bordered"] = (x, {len(x.dims) - 1 - i // 2: padding[i] for i in range(0, len(padding), 2)})
    return out


@rule("index_select")
def index_select(call: Call) -> Table:
    """Positions by a constant index."""
    x, dim, index = call.args
    if index.value is None:
        raise NoRule("an index that depends on data")
    return picked(x, dim % len(x.dims), index.value.numpy())


@rule("index")
def index(call: Call) -> Table:
    """x[..., i, ...] with one constant index of one dimension, or a table look-up."""
    x, indices = call.args
    given = [(dim, i) for dim, i in enumerate(indices) if i is not None]
    if any(i.value is None for _, i in given):
        return _chosen_by_data(x, [dim for dim, _ in given], call.shape)
    is_lookup = [dim for dim, _ in given] == [0] and len(x.dims) <= 2 and x.is_initial
    if len(given) == 1 and given[0][1].value.ndim <= 1 and not is_lookup:
        dim, positions = given[0][0], given[0][1].value
        if positions.dtype.is_floating_point is False and str(positions.dtype) == "torch.bool":
            positions = positions.nonzero().flatten()
        out = picked(x, dim, positions.reshape(-1).numpy())
        return out if given[0][1].value.ndim else _dropped(out, dim)
    if is_lookup:
        return looked_up(x, given[0][1].value)
    if x.is_initial:
        return _entries(x, call.shape)
    raise NoRule("indexing of several dimensions")


def _entries(x: Table, shape: tuple[int, ...]) -> Table:
    """Entries of a parameter by position, such as biases by distance: as if no two were the same."""
    out = independent(shape, x.average, x.second_moment)
    out.parents = (x,)

    def backward(gradient: Array) -> list[Array]:
        arrived = np.zeros_like(x.second)
        share = agreeing_average(gradient, out.axes) * out.size / x.size
        arrived[tuple(slice(len(a.groups)) for a in x.axes)] = share
        return [arrived]

    out.backward = backward
    return out


@rule("index_put")
def overwrite(call: Call) -> Table:
    """Entries under a constant mask replaced by one value for all."""
    x, indices, values = call.args[:3]
    mask = indices[0].value if len(indices) == 1 and indices[0] is not None else None
    if mask is None or mask.dtype != torch.bool or call.given(3, "accumulate", False):
        raise NoRule("positions that depend on data, or several of them")
    if len(values.dims) > len(x.dims) - mask.dim():
        raise NoRule("a value of its own for every position")
    mask = mask.reshape(*mask.shape, *(1,) * (len(x.dims) - mask.dim()))
    kept, put = (table_of_value(m.double()) for m in (~mask, mask))
    return added(multiplied(x, kept), multiplied(values, put))


def _chosen_by_data(x: Table, dims: list[int], shape: tuple[int, ...]) -> Table:
    """Rows that a router picked, each about as often: rows of an exchangeable axis, of another number."""
    if dims != [0] or len(shape) != len(x.dims) or min(x.shape[0], shape[0]) < 2:
        raise NoRule("an index that depends on data")
    x = single(x, 0)
    old, new = _axes.exchangeable(x.shape[0]), _axes.exchangeable(shape[0])
    return change(refined(x, 0, 0, old), 0, 0, Change((old,), (new,), np.eye(2), np.ones((1, 1))))


def picked(x: Table, dim: int, positions: np.ndarray) -> Table:
    """Any constant choice of positions of one dimension."""
    x = single(x, dim)
    if not x.dims[dim]:
        return x if len(positions) == 1 else _repeated(x, dim, len(positions))
    axis = x.dims[dim][0]
    size, count = axis.size, len(positions)
    if count == 1:
        return taken(x, dim, int(positions[0]) % size, 1)
    if axis.is_exchangeable and len(set(positions.tolist())) == count:
        new = _axes.exchangeable(count)
        return change(x, dim, 0, Change((axis,), (new,), np.eye(2), np.ones((1, 1))))
    if max(size, count) > _axes.ENUMERABLE:
        raise NoRule("a choice of positions on a long axis")
    new = _axes.spatial(count, axis.reach) if axis.has_positions else _axes.exchangeable(count)
    matrix = np.eye(size)[positions]
    pairs, points = _partition.lift(matrix, axis, new)
    return change(x, dim, 0, Change((axis,), (new,), pairs, points))


def _repeated(x: Table, dim: int, count: int) -> Table:
    return expanded(x, dim, [_axes.exchangeable(count)])


def bordered(x: Table, dim: int, before: int, after: int, value: float) -> Table:
    """With so many more positions before and after, all of them `value`."""
    size = x.shape[dim] + before + after
    x = single(x, dim)
    is_spatial = dim >= 2 and x.shape[dim] > 1 and size <= _axes.ENUMERABLE // 2
    if is_spatial and value == 0.0:
        axis = x.dims[dim][0]
        matrix = np.zeros((size, axis.size))
        matrix[np.arange(axis.size) + before, np.arange(axis.size)] = 1.0
        new = _axes.spatial(size)
        pairs, points = _partition.lift(matrix, axis, new)
        return change(x, dim, 0, Change((axis,), (new,), pairs, points))

    def border(length: int) -> list[Table]:
        shape = [*x.shape[:dim], length, *x.shape[dim + 1 :]]
        return [constant(shape, value)] if length else []

    return concatenated([*border(before), x, *border(after)], dim)


def _dropped(x: Table, dim: int) -> Table:
    return relabelled(x, (*x.dims[:dim], *x.dims[dim + 1 :]))
