"""Pooling and resampling: averages are linear maps along every axis, maxima are sampled once and tabulated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._gaussian import lineage_of
from gradscope.predict._grid import grid
from gradscope.predict._marginal import from_samples
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Change, Table, along, change
from gradscope.predict._view import single

SAMPLES = 20000  # windows drawn to tabulate a maximum
_CORRELATIONS = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.93, 0.98, 1.0])


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(call: Call) -> Table:
    """Averages over windows; padding counts as zeros."""
    x, kernel = call.args[:2]
    stride, padding = call.given(2, "stride") or kernel, call.given(3, "padding", 0)
    spatial = len(_pair(kernel, call))
    counts_padding = bool(call.given(5, "count_include_pad", True))
    for i in range(spatial):
        dim = len(x.dims) - spatial + i
        k, s, p = _pair(kernel, call)[i], _pair(stride, call)[i], _pair(padding, call)[i]
        sources = _windows(x.shape[dim], call.shape[dim], k, s, p)
        matrix = _matrix(sources, x.shape[dim]) / k
        if not counts_padding:
            matrix = matrix / np.maximum(matrix.sum(1, keepdims=True), 1e-300)
        x = _mapped(x, dim, matrix)
    return x


@rule("_adaptive_avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool3d")
def adaptive_average_pool(call: Call) -> Table:
    """Averages over windows that tile each axis."""
    x = call.args[0]
    for dim in range(2 if len(call.shape) > 3 else len(call.shape) - 1, len(call.shape)):
        old, new = x.shape[dim], call.shape[dim]
        if old != new:
            matrix = np.zeros((new, old))
            for i in range(new):
                start, end = i * old // new, -(-(i + 1) * old // new)
                matrix[i, start:end] = 1.0 / (end - start)
            x = _mapped(x, dim, matrix)
    return x


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d")
def upsample(call: Call) -> Table:
    """Interpolation, separable over axes: its matrix is read off by interpolating the identity."""
    x = call.args[0]
    mode = "nearest" if "nearest" in call.name else "bicubic" if "bicubic" in call.name else "linear"
    corners = bool(call.args[2]) if mode != "nearest" and len(call.args) > 2 else None
    for dim in range(2, len(call.shape)):
        if x.shape[dim] != call.shape[dim]:
            x = _mapped(x, dim, _interpolation(x.shape[dim], call.shape[dim], mode, corners))
    return x


@rule("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "max_pool1d", "_adaptive_max_pool2d")
def max_pool(call: Call) -> list[Table | None] | Table:
    """Maxima over windows of a function of a Gaussian."""
    x, kernel = call.args[:2]
    stride, padding, dilation = (
        call.given(i, n, d) for i, n, d in ((2, "stride", 0), (3, "padding", 0), (4, "dilation", 1))
    )
    spatial = len(_pair(kernel, call))
    sizes = []
    for i in range(spatial):
        dim = len(x.dims) - spatial + i
        k, s = _pair(kernel, call)[i], _pair(stride or kernel, call)[i]
        sizes.append(_windows(x.shape[dim], call.shape[dim], k, s, _pair(padding, call)[i], _pair(dilation, call)[i]))
    y = _maximum(x, sizes)
    return [y, None] if len(call.shapes) > 1 else y


def _maximum(x: Table, windows: Sequence[Array]) -> Table:
    source = _with_lattices(x, windows)
    axes, start = source.axes, len(source.axes) - len(windows)
    base = lineage_of(source).base
    averages = base.correlation * base.scale
    spans = []
    for i, sources in enumerate(windows):
        axis = axes[start + i]
        matrix = _matrix(sources, axis.size)
        matrix /= np.maximum(matrix.sum(1, keepdims=True), 1.0)
        spans.append(_spatial_map(matrix, axis))
        averages = along(averages, spans[i][1], start + i)
    taps = [w.shape[0] for w in windows]
    table = _tabulated(source, start, taps)
    new_axes = [a for s in spans for a in s[0]]
    own = averages[tuple(slice(len(a.groups)) if i < start else slice(None) for i, a in enumerate(axes[:start]))]
    agreeing = tuple(0 for _ in axes[:start])
    reference = own[agreeing][tuple(0 if new else slice(None) for new in ([0],) * len(windows))] if windows else 1.0
    correlation = np.clip(averages / max(float(np.max(np.abs(reference))), 1e-300), 0.0, 1.0)
    groups = tuple(slice(len(a.groups)) for a in (*axes[:start], *new_axes))
    squeezed = [start + i for i, s in enumerate(spans) if not s[0]]
    correlation = np.squeeze(correlation, tuple(squeezed)) if squeezed else correlation
    correlation[groups] = 1.0
    second = np.interp(correlation, _CORRELATIONS, table.products)
    mean = np.full([len(a.groups) for a in (*axes[:start], *new_axes)], table.mean)

    def backward(gradient: Array) -> list[Array]:
        return [table.slope * _routed(gradient, axes, start, spans, windows)]

    dims = (*source.dims[: len(source.dims) - len(windows)], *(s[0] for s in spans))
    out = Table(dims, mean, second, (base.table,), backward)
    if table.shape is not None:
        out.notes["shape"] = table.shape
    return out


def _routed(
    gradient: Array,
    axes: Sequence[Axis],
    start: int,
    spans: Sequence[tuple[tuple[Axis, ...], Array]],
    windows: Sequence[Array],
) -> Array:
    """Each gradient goes to the one position that was the largest: which one is uniform over the window."""
    for i, (new, _) in enumerate(spans):
        if not new:
            gradient = np.expand_dims(gradient, start + i)
    alone = np.zeros_like(gradient)
    agree = tuple(slice(None) if i < start else slice(len(spans[i - start][0][0].groups) if spans[i - start][0] else 1)
                  for i in range(gradient.ndim))  # fmt: skip
    alone[agree] = gradient[agree]
    apart = gradient - alone
    for i, ((new, pairs), sources) in enumerate(zip(spans, windows, strict=True)):
        axis = axes[start + i]
        out = new[0] if new else _axes.Axis((1,))
        old_counts, new_counts = _axes.pair_counts(axis), _axes.pair_counts(out)
        old_counts = np.where(old_counts > 0, old_counts, np.inf)
        shared = _partition.shared_taps(cast(NDArray[np.int64], sources), axis, out) / sources.shape[0]
        alone = along(alone, (shared * new_counts[:, None]).T / old_counts[:, None], start + i)
        apart = along(apart, (pairs * new_counts[:, None]).T / old_counts[:, None], start + i)
    return alone + apart


class _Maximum:
    """Mean, E y y' at the tabulated correlations, and E of the squared slope at the largest entry."""

    def __init__(self, mean: float, products: Array, slope: float, shape: Array | None) -> None:
        self.mean, self.products, self.slope, self.shape = mean, products, slope, shape


def _tabulated(x: Table, start: int, taps: Sequence[int]) -> _Maximum:
    """By sampling windows with the covariance of neighbouring positions."""
    lineage = lineage_of(x)
    z = grid()[0]
    node = int(np.argmax(lineage.base.share.reshape(-1, lineage.value.shape[0]).sum(0)))
    offsets = np.stack([o.ravel() for o in np.meshgrid(*[np.arange(k) for k in taps], indexing="ij")])
    covariance = np.ones((offsets.shape[1],) * 2)
    kernel = lineage.base.correlation[(0,) * start]
    for i in range(offsets.shape[1]):
        for j in range(offsets.shape[1]):
            covariance[i, j] = kernel[
                tuple(_neighbour(x.axes[start + d], abs(int(offsets[d, i] - offsets[d, j]))) for d in range(len(taps)))
            ]
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((SAMPLES, offsets.shape[1])) @ root.T for _ in range(2))
    first = np.interp(one, z, lineage.value[node])
    y = first.max(1)
    winner = np.take_along_axis(one, first.argmax(1)[:, None], 1)[:, 0]
    slope = np.interp(winner, z, lineage.slope[node]) if x.lineage is not None else np.ones(1)
    products = []
    for rho in _CORRELATIONS:
        mixed = np.interp(rho * one + math.sqrt(1 - rho * rho) * other, z, lineage.value[node]).max(1)
        products.append(float((y * mixed).mean()))
    products[0] = float(y.mean()) ** 2
    shape = from_samples(y, *grid())
    return _Maximum(float(y.mean()), np.maximum.accumulate(products), float((slope**2).mean()), shape)


def _neighbour(axis: Axis, distance: int) -> int:
    """The class of two positions near the middle at this distance."""
    if distance == 0:
        return len(axis.groups) // 2
    middle = axis.size // 2
    return int(_axes.pair_classes(axis)[middle, (middle + distance) % axis.size])


def _with_lattices(x: Table, windows: Sequence[Array]) -> Table:
    from gradscope.predict._table import refined

    for i, _ in enumerate(windows):
        dim = len(x.dims) - len(windows) + i
        x = single(x, dim)
        if not x.dims[dim]:
            raise NoRule("a maximum over a dimension of size 1")
        if x.shape[dim] > _axes.ENUMERABLE // 2:
            raise NoRule("a maximum over a long axis")
        if not x.dims[dim][0].has_positions:
            x = refined(x, dim, 0, _axes.spatial(x.shape[dim]))
    return x


def _spatial_map(matrix: Array, axis: Axis) -> tuple[tuple[Axis, ...], Array]:
    new = _axes.spatial(matrix.shape[0])
    pairs, _ = _partition.lift(matrix, axis, new)
    return ((new,) if matrix.shape[0] > 1 else ()), pairs


def _mapped(x: Table, dim: int, matrix: Array) -> Table:
    """A fixed matrix along one dimension."""
    x = single(x, dim)
    if not x.dims[dim]:
        if matrix.shape[0] == 1:
            return x
        from gradscope.predict._table import expanded

        return expanded(x, dim, [_axes.exchangeable(matrix.shape[0])])
    axis = x.dims[dim][0]
    if max(matrix.shape) > _axes.ENUMERABLE // 2:
        raise NoRule("a window over a long axis")
    new = _axes.spatial(matrix.shape[0])
    pairs, points = _partition.lift(matrix, axis, new)
    if matrix.shape[0] == 1:
        return change(x, dim, 0, Change((axis,), (), pairs[0], points[0]))
    return change(x, dim, 0, Change((axis,), (new,), pairs, points))


def _windows(old: int, new: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> np.ndarray:
    source = np.arange(new)[None] * stride - padding + np.arange(kernel)[:, None] * dilation
    return np.where((source >= 0) & (source < old), source, -1)


def _matrix(sources: np.ndarray, size: int) -> Array:
    matrix = np.zeros((sources.shape[1], size))
    for source in sources:
        inside = source >= 0
        matrix[np.flatnonzero(inside), source[inside]] += 1.0
    return matrix


@lru_cache(256)
def _interpolation(old: int, new: int, mode: str, corners: bool | None) -> Array:
    if mode == "bicubic":
        column = torch.eye(old, dtype=torch.float64)[None, :, :, None].expand(1, old, old, old)
        out = torch.nn.functional.interpolate(column, (new, old), mode="bicubic", align_corners=corners)[0, :, :, 0]
    else:
        identity = torch.eye(old, dtype=torch.float64)[None]
        out = torch.nn.functional.interpolate(identity, new, mode=mode, align_corners=corners)[0]
    return out.T.numpy()


def _pair(value: int | Sequence[int], call: Call) -> list[int]:
    spatial = 1 if call.name.endswith("1d") else 3 if "3d" in call.name else 2
    if isinstance(value, int):
        return [value] * spatial
    return list(value) if len(value) == spatial else [value[0]] * spatial
