"""Pooling and resampling: averages are linear maps along every axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array
from gradscope.predict._changes import Change, change, expanded
from gradscope.predict._maximum import maximum
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table
from gradscope.predict._view import single


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
            matrix = _matrix(_tiles(old, new), old)
            x = _mapped(x, dim, matrix / matrix.sum(1, keepdims=True))
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


@rule("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "max_pool1d")
def max_pool(call: Call) -> list[Table | None] | Table:
    """Maxima over windows of a function of a Gaussian."""
    x, kernel = call.args[:2]
    stride, padding, dilation = (
        call.given(i, n, d) for i, n, d in ((2, "stride", 0), (3, "padding", 0), (4, "dilation", 1))
    )
    spatial = len(_pair(kernel, call))
    x, borders = x.notes.get("bordered", (x, {}))
    sizes = []
    for i in range(spatial):
        dim = len(x.dims) - spatial + i
        k, s = _pair(kernel, call)[i], _pair(stride or kernel, call)[i]
        before = _pair(padding, call)[i] + borders.get(dim, 0)
        sizes.append(_windows(x.shape[dim], call.shape[dim], k, s, before, _pair(dilation, call)[i]))
    y = maximum(x, sizes)
    return [y, None] if len(call.shapes) > 1 else y


@rule("adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pool(call: Call) -> list[Table | None]:
    """Maxima over windows that tile each axis."""
    x = call.args[0]
    spatial = len(call.args[1])
    tiles = [_tiles(x.shape[dim], call.shape[dim]) for dim in range(len(x.dims) - spatial, len(x.dims))]
    return [maximum(x, tiles), None]


def _mapped(x: Table, dim: int, matrix: Array) -> Table:
    """A fixed matrix along one dimension."""
    x = single(x, dim)
    if not x.dims[dim]:
        if matrix.shape[0] == 1:
            return x
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


def _tiles(old: int, new: int) -> np.ndarray:
    starts, ends = np.arange(new) * old // new, -(-np.arange(1, new + 1) * old // new)
    source = starts + np.arange((ends - starts).max())[:, None]
    return np.where(source < ends, source, -1)


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
