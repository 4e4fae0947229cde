"""Windows laid out as entries of their own: a choice of positions along every axis, seen as (tap, window)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._changes import permuted, refined
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table
from gradscope.predict._view import single, viewed
from gradscope.predict.indexing import bordered, picked


@rule("im2col")
def windows(call: Call) -> Table:
    """(N, C, H, W) -> (N, C * taps, windows)."""
    x, kernel, dilation, padding, stride = call.args[:5]
    shape = list(x.shape[:2])
    for i in range(2):
        x = bordered(x, 2 + i, padding[i], padding[i], 0.0)
    counts = [(x.shape[2 + i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    for i in range(2):
        starts, taps = np.arange(counts[i]) * stride[i], np.arange(kernel[i]) * dilation[i]
        x = picked(_coarse(x, 2 + i), 2 + i, (taps[:, None] + starts).ravel())
    x = viewed(x, (*shape, kernel[0], counts[0], kernel[1], counts[1]))
    return viewed(permuted(x, (0, 1, 2, 4, 3, 5)), call.shape)


@rule("col2im")
def tiles(call: Call) -> Table:
    """The way back, where windows do not overlap: then every entry has one place."""
    x, size, kernel, dilation, padding, stride = call.args[:6]
    is_tiling = list(kernel) == list(stride) and set(dilation) == {1} and set(padding) == {0}
    if not is_tiling or any(n % k for n, k in zip(size, kernel, strict=True)):
        raise NoRule("windows that overlap or leave gaps")
    counts = [n // k for n, k in zip(size, kernel, strict=True)]
    x = viewed(x, (*call.shape[:2], *kernel, *counts))
    return viewed(permuted(x, (0, 1, 4, 2, 5, 3)), call.shape)


@rule("unfold")
def sliding(call: Call) -> Table:
    """Windows along one dimension; their entries become the last one."""
    x, dim, size, step = call.args[:4]
    dim %= len(x.dims)
    count = (x.shape[dim] - size) // step + 1
    x = picked(_coarse(x, dim), dim, (np.arange(count)[:, None] * step + np.arange(size)).ravel())
    x = viewed(x, (*x.shape[:dim], count, size, *x.shape[dim + 1 :]))
    return permuted(x, _last(dim + 1, len(x.dims)))


def _coarse(x: Table, dim: int) -> Table:
    """A long axis as one on which all positions are alike: as (tap, window) its classes would multiply."""
    x = single(x, dim)
    if not x.dims[dim] or x.shape[dim] <= _axes.RESOLVED:
        return x
    return refined(x, dim, 0, _axes.exchangeable(x.shape[dim]))


def _last(dim: int, count: int) -> Sequence[int]:
    return [*(d for d in range(count) if d != dim), dim]
