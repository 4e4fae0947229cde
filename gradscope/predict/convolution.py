"""Convolutions with independent weights, borders of zero padding included.

Taps are independent, so E y_p y_q = (C_in / groups) sigma^2 sum over taps of E x_{p + d} x_{q + d}: only pairs that are
shifted together contribute, and the sum factorizes over height and width.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._changes import Change, change, relabelled
from gradscope.predict._combine import added
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table
from gradscope.predict._view import single

_UNIT = _axes.Axis((1,))
LONGEST = 256  # spatial positions that are told apart; on longer axes borders are averaged


@rule("convolution", "conv1d", "conv2d", "conv3d")
def convolution(call: Call) -> Table:
    """Any dimension, stride, padding, dilation, groups, and transposed."""
    x, weight, bias, stride, padding, dilation, is_transposed, _, groups = call.args[:9]
    if weight.value is not None or abs(weight.average) > 0.1 * weight.second_moment**0.5:
        raise NoRule("a convolution with fixed weights")
    taps = [
        _sources(x.shape[2 + i], call.shape[2 + i], k, stride[i], padding[i], dilation[i], bool(is_transposed))
        for i, k in enumerate(weight.shape[2:])
    ]
    shifted = x
    for i, sources in enumerate(taps):
        shifted = _shifted(shifted, 2 + i, sources)
    fan_in = x.shape[1] / groups
    out = _mixed_channels(x, shifted, weight, call.shape[1], fan_in)
    return out if bias is None else added(out, relabelled(bias, (*bias.dims, *((),) * len(taps))))


def _mixed_channels(source: Table, x: Table, weight: Table, channels: int, fan_in: float) -> Table:
    """Sum over input channels with independent weights; output channels are uncorrelated."""
    variance = weight.second_moment
    summed = x
    while summed.dims[1]:  # the average over agreeing channels, as a sum of one per fan-in
        axis = summed.dims[1][0]
        agreeing = Change((axis,), (), _axes.average_agreeing(axis), np.zeros(len(axis.groups)))
        summed = change(summed, 1, 0, agreeing)
    new = (_axes.exchangeable(channels),) if channels > 1 else ()
    agree = np.array([1.0, 0.0]) if new else np.ones(())
    spread = change(summed, 1, 0, Change((), new, agree * fan_in * variance, np.zeros((1,) if new else ())))
    spread.mean = np.zeros_like(spread.mean)
    taps = weight.size / (weight.shape[0] * weight.shape[1])

    def backward(gradient: Array) -> list[Array | None]:
        # E g_w^2 = sum over pairs of positions and samples of the gradient's kernel times the shifted input's.
        kernel = gradient * spread.second / (fan_in * variance) if variance > 0 else gradient * 0
        agreeing = np.moveaxis(kernel, len(x.dims[0]), 0)[0] if new else kernel
        rest = [a for i, d in enumerate(spread.dims) if i != 1 for a in d]
        for axis in reversed(rest):
            agreeing = agreeing @ _axes.pair_counts(axis)
        own = np.zeros_like(weight.second)
        own[(0,) * own.ndim] = float(agreeing) / taps
        return [gradient, own]

    out = Table(spread.dims, spread.mean, spread.second, (spread, weight), backward, role="mix")
    out.notes["realized"] = source
    return out


def _shifted(x: Table, dim: int, sources: Array) -> Table:
    """One spatial dimension after its taps."""
    x = single(x, dim)
    old = x.dims[dim][0] if x.dims[dim] else _UNIT
    size = sources.shape[1]
    if not x.dims[dim]:  # the axis of a dimension of size 1
        x = change(x, dim, 0, Change((), (_UNIT,), np.array([1.0, 0.0]), np.ones(1)))
    elif not old.has_positions and not old.is_exchangeable:
        coarse = _axes.exchangeable(old.size)
        x = change(x, dim, 0, Change((old,), (coarse,), *_partition.recast(old, coarse)))
        old = coarse
    new, pairs = _operator(old, sources.tobytes(), sources.shape)
    points = np.zeros((len(new.groups), len(old.groups)))
    if size == 1:
        return change(x, dim, 0, Change((old,), (), pairs[0], points[0]))
    return change(x, dim, 0, Change((old,), (new,), pairs, points))


@lru_cache(1024)
def _operator(old: Axis, flat: bytes, shape: tuple[int, int]) -> tuple[Axis, Array]:
    sources = np.frombuffer(flat, dtype=np.int64).reshape(shape)
    taps, size = shape
    share = float((sources >= 0).mean())
    if size > 1 and old.is_exchangeable and (share == 1.0 or max(size, old.size) > LONGEST):
        both = np.mean([(s >= 0).mean() ** 2 for s in sources])
        return _axes.exchangeable(size), taps * np.diag([share, both])
    if max(size, old.size) > LONGEST:
        coarse, _ = _partition.recast(old, _axes.exchangeable(old.size))
        new, pairs = _operator(_axes.exchangeable(old.size), flat, shape)
        return new, pairs @ coarse
    new = _axes.spatial(size)
    fine = old if old.has_positions else _axes.spatial(old.size)
    recast = np.eye(old.classes) if fine is old else _partition.recast(old, fine)[0]
    return new, _partition.shared_taps(sources, fine, new) @ recast


def _sources(
    old: int, new: int, kernel: int, stride: int, padding: int, dilation: int, is_transposed: bool
) -> np.ndarray:
    """Which input position every tap of every output position reads, -1 outside: (kernel, new)."""
    taps, positions = np.arange(kernel)[:, None] * dilation, np.arange(new)[None]
    if is_transposed:
        offset = positions + padding - taps
        source, inside = offset // stride, offset % stride == 0
    else:
        source, inside = positions * stride - padding + taps, True
    return np.ascontiguousarray(np.where(inside & (source >= 0) & (source < old), source, -1).astype(np.int64))
