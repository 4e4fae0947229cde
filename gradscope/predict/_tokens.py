"""Tables of queries, keys and values as kernels over tokens, and back."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._changes import Change, change, refined
from gradscope.predict._heads import (
    Kernel,
)
from gradscope.predict._table import Table
from gradscope.predict._view import single


def source_of(x: Table) -> Table | None:
    """What a weight matrix made x of; None if x is not linear in one."""
    while x.role != "mix":
        parents = [parent for parent in x.parents if not parent.is_initial]
        if not parents or any(parent is not parents[0] for parent in parents):
            return None
        x = parents[0]
    x = x.notes["realized"]
    while x.role == "same" and len(x.parents) == 1:  # every layer has its own view of it
        (x,) = x.parents
    return x


def gram_spread(x: Table) -> float:
    """Var (x_s x_s') / E x^2 ^2 for the average over features of the product of two different rows."""
    kernel, features = x.second, x.axes[len(x.axes) - len(x.dims[-1]) :]
    for axis in x.axes[: len(x.axes) - len(x.dims[-1])]:
        kernel = np.tensordot(_axes.average_agreeing(axis), kernel, (0, 0))
    squares = kernel**2
    for axis in reversed(features):
        squares = squares @ _axes.average_pairs(axis)
    return float(squares) / max(x.second_moment, 1e-300) ** 2


def with_token_axis(x: Table, dim: int) -> Table:
    if x.dims[dim]:
        return single(x, dim)
    return change(x, dim, 0, Change((), (Axis((1,)),), np.array([1.0, 0.0]), np.ones(1)))


def without_unit(x: Table, dim: int) -> Table:
    return change(x, dim, 0, Change(x.dims[dim], (), np.array([1.0, 0.0]), np.ones(1)))


def refined_for(x: Table, dim: int, is_open: Tensor, mask_dim: int) -> Table:
    """Cut the token axis where the mask varies along it."""
    axis = x.dims[dim][0]
    length = is_open.shape[mask_dim]
    if length == 1 or bool((is_open == is_open.narrow(mask_dim, 0, 1)).all()):
        return x
    return refined(x, dim, 0, _partition.common(axis, _axes.geometric(axis.size)))


def kernel_of(x: Table, token_dim: int) -> Kernel:
    """The kernel over tokens within one head of one sample, averaged over features."""
    at = sum(len(d) for d in x.dims[:token_dim])
    second = np.moveaxis(x.second, at, -1)
    width = 1
    others = [a for i, a in enumerate(x.axes) if i != at]
    batch = sum(len(d) for d in x.dims[: len(x.dims) - 2])
    for i, axis in enumerate(others):
        second = np.tensordot(_axes.average_agreeing(axis), second, (0, 0))
        if i >= batch:
            width *= axis.size
    return Kernel(x.axes[at], second, width, _is_normalized(x, width))


def _is_normalized(x: Table, width: int) -> bool:
    """Whether vectors of this width were normalized on the way from the last weight matrix."""
    if x.role == "normalized":
        return x.notes.get("normalized") == width
    sources = [parent for parent in x.parents if not parent.is_initial]
    return x.role != "mix" and bool(sources) and all(_is_normalized(source, width) for source in sources)


def embedded(second: Array, like: Table, token_dim: int) -> Array:
    """A kernel over tokens as the gradient of a table: features and heads uncorrelated."""
    at = sum(len(d) for d in like.dims[:token_dim])
    out = np.zeros_like(like.second)
    moved = np.moveaxis(out, at, -1)
    others = [a for i, a in enumerate(like.axes) if i != at]
    moved[tuple(slice(len(a.groups)) for a in others)] = second
    return out
