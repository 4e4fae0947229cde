"""Matrix products: of a tensor with a weight, and of two tensors."""

from __future__ import annotations

import math

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._attention import Scores
from gradscope.predict._axes import Array, Axis
from gradscope.predict._changes import permuted, refined, relabelled, scaled
from gradscope.predict._combine import added
from gradscope.predict._pieces import taken
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table
from gradscope.predict._view import aligned_dim, single

MOST_CLASSES = 1 << 21  # pairs of row and column classes that a product may have
MOST_SCORE_CLASSES = 1 << 14  # of attention scores, which keep their kernels elsewhere


@rule("mm", "bmm", "matmul", "mv", "dot")
def multiply(call: Call) -> Table:
    """x @ y."""
    return product(call.args[0], call.args[1])


@rule("addmm", "baddbmm", "addmv")
def multiply_add(call: Call) -> Table:
    """beta * bias + alpha * x @ y."""
    bias, x, y = call.args[:3]
    out, alpha, beta = product(x, y), call.kwargs.get("alpha", 1), call.kwargs.get("beta", 1)
    out = out if alpha == 1 else scaled(out, alpha)
    total = added(out, bias, float(beta)) if beta else out
    if "scores" in out.notes:
        total.notes["scores"] = out.notes["scores"].scaled(alpha).biased(beta**2 * bias.second_moment)
    return total


@rule("_grouped_mm")
def grouped(call: Call) -> Table:
    """Rows x in groups, each times a matrix of its own: rows of different groups are independent."""
    x, experts = call.args[:2]
    if len(x.dims) != 2 or len(experts.dims) != 3:
        raise NoRule("groups that are not rows")
    count = experts.shape[0]
    out = product(single(x, 0), relabelled(taken(experts, 0, 0, 1), experts.dims[1:]) if count > 1 else experts)
    rows = out.dims[0]
    if count == 1 or not rows:
        return out
    same = np.full(rows[0].classes, 1.0 / count)
    same[: len(rows[0].groups)] = 1.0
    share = same.reshape([-1] + [1] * (out.second.ndim - 1))
    return Table(out.dims, out.mean, out.second * share, (out,), lambda gradient: [gradient * share])


@rule("linear")
def linear(call: Call) -> Table:
    """x @ weight^T + bias."""
    x, weight = call.args[:2]
    bias = call.given(2, "bias")
    out = product(x, permuted(weight, (1, 0)))
    return out if bias is None else added(out, bias)


def product(x: Table, y: Table) -> Table:
    """x @ y over the last dimension of x; leading dimensions of y are a batch.

    With independent x and y, E z_I z_J = sum over pairs (k, k') of E x x' E y y': exact for a weight y at any width.
    """
    if len(y.dims) == 1:
        column = product(x, relabelled(y, (y.dims[0], ())))
        return relabelled(column, column.dims[:-1])
    if attention := x.notes.get("attention"):
        return attention.mix(x, y)
    x, y = aligned_dim(x, len(x.dims) - 1, y, len(y.dims) - 2)
    batch = len(y.dims) - 2
    for i in range(batch):
        x, y = aligned_dim(x, i, y, i)
    scores = Scores(x, y) if batch and not x.is_initial and not y.is_initial else None
    x, y = _affordable(x, y, batch, MOST_CLASSES if scores is None else MOST_SCORE_CLASSES)
    shared = _flat(y.dims[:batch])
    rows, inner, columns = _flat(x.dims[batch:-1]), x.dims[-1], y.dims[-1]
    sizes = [[_length(part, kind) for part in (shared, rows, inner, columns)] for kind in ("classes", "groups")]
    cx, cy = _cube(x.second, sizes[0], 0, 1, 2), _cube(y.second, sizes[0], 0, 2, 3)
    counts = [_counts(part) for part in (rows, inner, columns)]
    full = [a.classes for a in (*shared, *rows, *columns)]

    def backward(gradient: Array) -> list[Array]:
        g = _cube(gradient, sizes[0], 0, 1, 3)
        gx = (g * counts[2]) @ cy.transpose(0, 2, 1)
        gy = (cx * counts[0][:, None]).transpose(0, 2, 1) @ g
        return [gx.reshape(x.second.shape), gy.reshape(y.second.shape)]

    positions = _positions(inner)
    mean = _cube(x.mean, sizes[1], 0, 1, 2) * positions @ _cube(y.mean, sizes[1], 0, 2, 3)
    out = Table(
        (*x.dims[:-1], columns),
        mean.reshape([len(a.groups) for a in (*shared, *rows, *columns)]),
        ((cx * counts[1]) @ cy).reshape(full),
        (x, y),
        backward,
        role="mix" if y.is_initial or x.is_initial else "times",
    )
    if out.role == "mix":
        out.notes["realized"] = x if y.is_initial else y
    if scores is not None:
        out.notes["scores"] = scores
    return out


def _affordable(x: Table, y: Table, batch: int, most: int) -> tuple[Table, Table]:
    """Rows and columns made exchangeable where the table of their product would not fit."""
    rows, columns = x.dims[batch:-1], y.dims[-1]
    if _length(_flat(rows), "classes") * _length(columns, "classes") <= most:
        return x, y
    for dim in range(batch, len(x.dims) - 1):
        x = _exchangeable(x, dim)
    return x, _exchangeable(y, len(y.dims) - 1)


def _exchangeable(x: Table, dim: int) -> Table:
    if not x.dims[dim]:
        return x
    x = single(x, dim)
    return refined(x, dim, 0, _axes.exchangeable(x.shape[dim]))


def _flat(dims: tuple[tuple[Axis, ...], ...]) -> tuple[Axis, ...]:
    return tuple(axis for dim in dims for axis in dim)


def _length(axes: tuple[Axis, ...], kind: str) -> int:
    return math.prod(axis.classes if kind == "classes" else len(axis.groups) for axis in axes)


def _cube(array: Array, sizes: list[int], *parts: int) -> Array:
    return array.reshape([sizes[p] for p in parts])


def _counts(axes: tuple[Axis, ...]) -> Array:
    out = np.ones(1)
    for axis in axes:
        out = np.multiply.outer(out, _axes.pair_counts(axis)).ravel()
    return out


def _positions(axes: tuple[Axis, ...]) -> Array:
    out = np.ones(1)
    for axis in axes:
        out = np.multiply.outer(out, np.array(axis.groups, dtype=float)).ravel()
    return out
