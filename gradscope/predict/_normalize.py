"""Centring and scaling to unit variance over some axes: the core of batch, layer, group, instance and RMS norms.

Forward, C' = P C P / (sd sd') with P the projection that removes the mean. Backward, with g' = P g / sd and the
normalized activation y, the gradient loses its component along y: g' - y <g', y> / N.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._grid import grid
from gradscope.predict._marginal import shape_of
from gradscope.predict._table import Table, along


def normalized(
    x: Table, over: Collection[int], eps: float, *, is_centring: bool = True, is_scaling: bool = True
) -> Table:
    """x with mean 0 (if centring) and second moment 1 (if scaling) over the flat axes in `over`."""
    axes = x.axes
    over = sorted(over)
    second = _centred(x.second, axes, over) if is_centring else x.second
    mean = x.mean - _keepdims_mean(x.mean, axes, over) if is_centring else x.mean
    if not is_scaling:
        centred = Table(x.dims, mean, second, (x,), lambda gradient: [_centred(gradient, axes, over)])
        centred.notes["centred_of"] = x
        return centred
    variance = _variance(second, axes, over)
    deviation = np.sqrt(np.maximum(variance, 0.0) + eps)
    scale = _pairs_of(deviation, axes, over)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.where(scale > 0, second / scale, 0.0)
        mean = np.where(deviation > 0, mean / deviation, 0.0)
    # With eps, the projection removes only the share of the second moment that is not eps.
    share = float(np.mean(variance / np.maximum(variance + eps, 1e-300)))

    excess = _inverse_excess(second, variance, eps, axes, over)

    def backward(gradient: Array) -> list[Array]:
        gradient = np.where(scale > 0, gradient / scale, 0.0) * excess
        leaning = gradient
        if is_centring:
            gradient = _centred(gradient, axes, over)
        change = _projection(gradient, out, axes, over)
        if table.tilt:  # a rectifier behind it lets pass what is positive: the mean gradient points along the value
            for i in over:
                leaning = _average(leaning, _axes.average_pairs(axes[i]), i)
            change = change - table.tilt * leaning * out
        return [gradient + share * change]

    table = Table(x.dims, mean, out, (x,), backward, role="normalized")
    table.notes["normalized"] = math.prod(axes[i].size for i in over)
    shape = shape_of(x, *grid())
    if shape is not None:
        table.notes["shape"] = shape
    return table


def _centred(second: Array, axes: Sequence[Axis], over: Sequence[int]) -> Array:
    rows, columns, both = second, second, second
    for i in over:
        first, last = _axes.ends(axes[i])
        counts = _axes.pair_counts(axes[i])
        positions = np.array(axes[i].groups, dtype=float)[:, None] * axes[i].size
        rows = along(rows, first @ (first.T * counts / positions), i)
        columns = along(columns, last @ (last.T * counts / positions), i)
        both = _average(both, _axes.average_pairs(axes[i]), i)
    return second - rows - columns + both


def _average(array: Array, weights: Array, axis: int) -> Array:
    return np.expand_dims(np.tensordot(array, weights, (axis, 0)), axis)


def _keepdims_mean(mean: Array, axes: Sequence[Axis], over: Sequence[int]) -> Array:
    for i in over:
        mean = _average(mean, _axes.average_points(axes[i]), i)
    return mean


def _variance(second: Array, axes: Sequence[Axis], over: Sequence[int]) -> Array:
    """Average of E x_I^2 over the normalized axes: groups of the other axes, 1 on the normalized ones."""
    for i in over:
        second = _average(second, _axes.average_agreeing(axes[i]), i)
    return second[tuple(slice(None) if i in over else slice(len(a.groups)) for i, a in enumerate(axes))]


def _inverse_excess(second: Array, variance: Array, eps: float, axes: Sequence[Axis], over: Sequence[int]) -> Array:
    """E[1/v] E[v] of the variance v that one group of positions has by chance, for every class of the other axes.

    A Gaussian kernel C over N positions has Var v = 2 tr(C^2) / N^2; v is taken as gamma distributed. Between different
    groups v is independent, and E[1/sqrt(v)]^2 stands in for E[1/v].
    """
    spread = second * second
    for i in over:
        spread = _average(spread, _axes.average_pairs(axes[i]), i)
    own = spread[tuple(slice(None) if i in over else slice(len(a.groups)) for i, a in enumerate(axes))]
    relative = np.minimum(2.0 * own / np.maximum((variance + eps) ** 2, 1e-300), 0.5)
    apart = 1.0 / (1.0 - relative) ** 0.25
    excess = _pairs_of(apart, axes, over)
    excess[tuple(slice(None) if i in over else slice(len(a.groups)) for i, a in enumerate(axes))] = 1 / (1 - relative)
    return excess


def _pairs_of(profile: Array, axes: Sequence[Axis], over: Sequence[int]) -> Array:
    """profile(I) * profile(J) for every class of the axes that are not normalized, 1 on the others."""
    first, second = profile, profile
    for i, axis in enumerate(axes):
        if i not in over:
            first, second = along(first, _axes.ends(axis)[0], i), along(second, _axes.ends(axis)[1], i)
    return first * second


# --- the component along the normalized activation ---------------------------------------------------
# Over an exchangeable axis of n positions a kernel has two eigenvalues: a + (n - 1) d on the constant vector and a - d
# on the rest; products of kernels are products of eigenvalues.


def _projection(gradient: Array, output: Array, axes: Sequence[Axis], over: Sequence[int]) -> Array:
    """What removing the component along the output adds to the gradient's table.

    For Gaussian y with kernel Y, independent of g with kernel G, over N positions:
    E[(g - y <g, y> / N)(...)^T] - G = -(GY + YG) / N + (tr(GY) Y + 2 Y G Y) / N^2.
    """
    n = 1
    g, y = gradient, output
    for i in over:
        coarse, _ = _partition.recast(axes[i], _axes.exchangeable(axes[i].size))
        g, y = along(g, _to_eigenvalues(axes[i].size) @ coarse, i), along(y, _to_eigenvalues(axes[i].size) @ coarse, i)
        n *= axes[i].size
    own = _own(y, axes, over)
    change = -2.0 * g * own / n + 2.0 * own * g * own / n**2
    for i in over:
        fine, _ = _partition.recast(_axes.exchangeable(axes[i].size), axes[i])
        change = along(change, fine @ np.linalg.inv(_to_eigenvalues(axes[i].size)), i)
    overlap = gradient * output
    for i in over:
        overlap = _average(overlap, _axes.average_pairs(axes[i]), i)
    return change + overlap * output


def _own(output: Array, axes: Sequence[Axis], over: Sequence[int]) -> Array:
    """The kernel of one normalized group with itself: agreeing on the axes that are not normalized."""
    for i, axis in enumerate(axes):
        if i not in over:
            output = _average(output, _axes.average_agreeing(axis), i)
    return output


def _to_eigenvalues(size: int) -> Array:
    return np.array([[1.0, size - 1.0], [1.0, -1.0]])
