"""Softmax: of attention scores, kept as attention until it meets its values, and of anything else by sampling rows."""

from __future__ import annotations

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._attention import LONGEST, Attention
from gradscope.predict._axes import Array
from gradscope.predict._mask import with_open
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table, constant, diagonal
from gradscope.predict._view import single

ROWS = 256  # sampled rows
LONGEST_ROW = 65536


@rule("_softmax", "_safe_softmax", "softmax")
def softmax(call: Call) -> Table:
    """exp(x) / sum exp(x) along one dimension."""
    x, dim = call.args[:2]
    dim %= len(x.dims)
    scores = x.notes.get("scores")
    if scores is None or dim != len(x.dims) - 1:
        return _rows(x, dim)
    if scores.keys.shape[-1] > LONGEST:
        raise NoRule("attention over more keys than are drawn")
    out = _rows(x, dim)
    out.parents, out.backward = (), None
    out.is_initial = False
    out.notes["attention"] = Attention.of(scores)
    return out


@rule("_log_softmax", "log_softmax")
def log_softmax(call: Call) -> Table:
    """x - log sum exp(x): the sum is nearly the same for all rows."""
    raise NoRule("a log-softmax inside the model")


@rule("masked_fill")
def masked_fill(call: Call) -> Table:
    """Scores with some entries ruled out."""
    x, mask, value = call.args[:3]
    number = float(value.value) if isinstance(value, Table) and value.value is not None else value
    if isinstance(mask, Table) and mask.value is not None and not bool(mask.value.any()):
        return x
    if not isinstance(mask, Table) or mask.value is None or isinstance(number, Table):
        raise NoRule("a mask that depends on data")
    if number < -1e3:
        return with_open(x, ~mask.value)
    raise NoRule("filling with a finite number")


@rule("where")
def where(call: Call) -> Table:
    """A choice by a constant condition, where one side rules entries out."""
    condition, x, y = call.args[:3]
    if condition.value is None:
        raise NoRule("a condition that depends on data")
    if _forbids(y):
        return with_open(x, condition.value)
    if _forbids(x):
        return with_open(y, ~condition.value)
    if bool(condition.value.all()):
        return x
    if not bool(condition.value.any()):
        return y
    raise NoRule("a choice between two tensors")


def _forbids(x: object) -> bool:
    if isinstance(x, Table):
        return x.value is not None and x.value.numel() == 1 and float(x.value) < -1e3
    return isinstance(x, float) and x < -1e3


def _rows(x: Table, dim: int) -> Table:
    x = single(x, dim)
    if not x.dims[dim]:
        return constant(x.shape, 1.0)
    at = sum(len(d) for d in x.dims[:dim])
    axis = x.axes[at]
    if axis.size > LONGEST_ROW:
        raise NoRule("a softmax over a very long row")
    n = axis.size
    shared = _agreeing(x, at) @ (_axes.average_pairs(axis) * n**2 - _axes.average_agreeing(axis) * n) / (n * (n - 1))
    variance = max(0.0, float(np.mean(x.second_moment - shared)))
    drawn = np.random.default_rng(0).standard_normal((max(16, ROWS * 256 // max(n, 256)), n)) * np.sqrt(variance)
    p = np.exp(drawn - drawn.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    square = float((p**2).mean())
    slope = float((p**2 * (1 - 2 * p + (p**2).sum(1, keepdims=True))).mean())
    second = np.full(x.second.shape, 1.0 / n**2)
    agreeing = tuple(slice(None) if i == at else slice(len(a.groups)) for i, a in enumerate(x.axes))
    inner = np.full(axis.classes, (1.0 - n * square) / (n * (n - 1)))
    inner[: len(axis.groups)] = square
    second[agreeing] = inner.reshape([-1 if i == at else 1 for i in range(len(x.axes))])

    def backward(gradient: Array) -> list[Array]:
        out = np.zeros_like(gradient)
        agree = tuple(slice(len(a.groups)) for a in x.axes)
        out[agree] = diagonal(gradient, x.axes) * slope
        return [out]

    return Table(x.dims, np.full(x.mean.shape, 1.0 / n), second, (x,), backward)


def _agreeing(x: Table, at: int) -> Array:
    """The kernel along one axis, within a row: (classes,)."""
    second = np.moveaxis(x.second, at, -1)
    for i, axis in enumerate(x.axes):
        if i != at:
            second = np.tensordot(_axes.average_agreeing(axis), second, (0, 0))
    return second
