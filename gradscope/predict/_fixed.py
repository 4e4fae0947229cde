"""The moment table of a tensor that is known entry by entry: averages over its index pairs."""

from __future__ import annotations

import itertools

import numpy as np
from torch import Tensor

from gradscope.predict import _axes
from gradscope.predict._axes import Array, Axis
from gradscope.predict._mask import mask_of
from gradscope.predict._table import Table, axes_of, constant


def table_of_value(value: Tensor) -> Table:
    """Every dimension exchangeable; a boolean, integer or mask keeps only its value."""
    if value.numel() == 0:
        table = constant(value.shape, 0.0)
        table.value = value
        return table
    mask = mask_of(value)
    if mask is not None or not value.is_floating_point():
        table = constant(value.shape, 0.0)
        table.value = value
        if mask is not None:
            table.notes["mask"] = mask
        return table
    x = value.detach().double().nan_to_num(0.0, 0.0, 0.0).numpy()
    squeezed = x.reshape([n for n in x.shape if n > 1])
    second = np.zeros((2,) * squeezed.ndim)
    for agree in itertools.product((0, 1), repeat=squeezed.ndim):
        means = squeezed.mean(tuple(i for i, differ in enumerate(agree) if differ), keepdims=True)
        second[agree] = float(np.mean(means * means))
    for axis, n in enumerate(squeezed.shape):  # an average over all partners -> over all others
        same, everything = np.take(second, [0], axis), np.take(second, [1], axis)
        second = np.concatenate([same, (everything - same / n) * n / (n - 1)], axis)
    table = Table(axes_of(x.shape), np.full((1,) * squeezed.ndim, x.mean()), second, is_initial=True)
    table.value = value
    return table


def fitted(x: Table, y: Table) -> tuple[Table, Table]:
    """Two tables about to be combined: a constant is tabulated anew by the partition of the other's axes."""
    if x.value is not None and y.value is None:
        return _fitted(x, y), y
    if y.value is not None and x.value is None:
        return x, _fitted(y, x)
    return x, y


def _fitted(known: Table, other: Table) -> Table:
    """The first dimension, from the last on, along which the other table tells positions apart."""
    for back in range(1, min(len(known.dims), len(other.dims)) + 1):
        own, wanted = known.dims[-back], other.dims[-back]
        if len(own) == 1 and len(wanted) == 1 and own[0].is_exchangeable and not wanted[0].is_exchangeable:
            cache = known.notes.setdefault("partitions", {})
            key = (len(known.dims) - back, wanted[0])
            if key not in cache:
                cache[key] = _partitioned(known, *key)
            return cache[key]
    return known


def _partitioned(known: Table, dim: int, axis: Axis) -> Table:
    """The table of a constant with `axis` in place of an exchangeable one."""
    assert known.value is not None
    x = known.value.detach().double().nan_to_num(0.0, 0.0, 0.0).movedim(dim, 0).numpy()
    kept = [d for d in range(len(known.dims)) if known.dims[d]]
    at = kept.index(dim)
    x = x.reshape([axis.size, *(known.shape[d] for d in kept if d != dim)])
    patterns = []
    for agree in itertools.product((0, 1), repeat=x.ndim - 1):
        means = x.mean(tuple(i + 1 for i, differ in enumerate(agree) if differ), keepdims=True)
        flat = means.reshape(axis.size, -1)
        patterns.append(_class_averages(flat @ flat.T / flat.shape[1], axis))
    second = np.stack(patterns, -1).reshape(axis.classes, *(2,) * (x.ndim - 1))
    for i, n in enumerate(x.shape[1:], start=1):
        same, everything = np.take(second, [0], i), np.take(second, [1], i)
        second = np.concatenate([same, (everything - same / n) * n / (n - 1)], i)
    flat = x.reshape(axis.size, -1).mean(1)
    edges = np.concatenate([[0], np.cumsum(axis.groups)])[:-1]
    mean = np.add.reduceat(flat, edges) / np.array(axis.groups)
    mean = mean.reshape([-1] + [1] * (x.ndim - 1))
    dims = (*known.dims[:dim], (axis,), *known.dims[dim + 1 :])
    table = Table(dims, np.moveaxis(mean, 0, at), np.moveaxis(second, 0, at), is_initial=True)
    table.value = known.value
    return table


def _class_averages(matrix: Array, axis: Axis) -> Array:
    """Average of a (size, size) matrix over every class of pairs."""
    if axis.size <= _axes.ENUMERABLE:
        sums = np.bincount(_axes.pair_classes(axis).ravel(), matrix.ravel(), axis.classes)
        return sums / np.maximum(_axes.pair_counts(axis), 1.0)
    edges = np.concatenate([[0], np.cumsum(axis.groups)])[:-1]
    agree = np.add.reduceat(np.diag(matrix), edges)
    between = np.add.reduceat(np.add.reduceat(matrix, edges, 0), edges, 1)
    between[np.diag_indices(len(edges))] -= agree
    return np.concatenate([agree, between.ravel()]) / np.maximum(_axes.pair_counts(axis), 1.0)
