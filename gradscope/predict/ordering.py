"""The largest entries along a dimension, by sampling rows of the function of a Gaussian that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradscope.predict import _axes
from gradscope.predict._axes import Array
from gradscope.predict._gaussian import lineage_of
from gradscope.predict._grid import grid
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table, agreeing_average, constant, independent, pair_average

SAMPLES = 1 << 20  # entries drawn


@rule("amax", "amin")
def largest(call: Call) -> Table:
    """The maximum or minimum over one dimension."""
    x, dims = call.args[0], call.given(1, "dim", ())
    dims = [dims] if isinstance(dims, int) else list(dims)
    if len(dims) != 1:
        raise NoRule("a maximum over several dimensions")
    return _top(x, dims[0] % len(x.dims), 1, call.shape, sign=1.0 if call.name == "amax" else -1.0)


@rule("max", "min")
def largest_with_index(call: Call) -> Sequence[Table | None]:
    """The same, with the position that it has."""
    if len(call.args) < 2 or not isinstance(call.args[1], int):
        raise NoRule("a maximum over everything or of two tensors")
    x = call.args[0]
    sign = 1.0 if call.name == "max" else -1.0
    return [_top(x, call.args[1] % len(x.dims), 1, call.shape, sign=sign), None]


@rule("topk")
def top_k(call: Call) -> Sequence[Table | None]:
    """The k largest along a dimension, and their positions."""
    x, count = call.args[:2]
    is_largest = call.given(3, "largest", True)
    dim = call.given(2, "dim", -1) % len(x.dims)
    positions = constant(call.shapes[1], 0.0)
    positions.notes["positions_of"] = (dim, 1.0 if is_largest else -1.0)
    return [_top(x, dim, int(count), call.shape, sign=1.0 if is_largest else -1.0), positions]


@rule("gather")
def gather(call: Call) -> Table:
    """Entries at the positions of the largest, of the same tensor or of one that only differs by a small bias."""
    x, dim, index = call.args[:3]
    if "positions_of" not in index.notes or index.notes["positions_of"][0] != dim % len(x.dims):
        raise NoRule("an index that depends on data")
    return _top(x, dim % len(x.dims), call.shape[dim], call.shape, sign=index.notes["positions_of"][1])


def _top(x: Table, dim: int, count: int, shape: tuple[int, ...], *, sign: float) -> Table:
    """The `count` largest of sign * x along a dimension, as independent entries; each takes its gradient along."""
    size = x.shape[dim]
    values, slopes = _drawn(x, dim)
    order = np.argsort(-sign * values, axis=1)[:, :count]
    chosen, slope = np.take_along_axis(values, order, 1), np.take_along_axis(slopes, order, 1)
    out = independent(shape, float(chosen.mean()), float((chosen**2).mean()))
    out.is_initial = x.is_initial
    base = lineage_of(x).base.table
    out.parents = (base,)
    square = float((slope**2).mean())

    def backward(gradient: Array) -> list[Array]:
        arrived = np.zeros_like(base.second)
        share = agreeing_average(gradient, out.axes) * square * count / size
        arrived[tuple(slice(len(a.groups)) for a in base.axes)] = share
        return [arrived]

    out.backward = backward
    return out


def _drawn(x: Table, dim: int) -> tuple[Array, Array]:
    """Rows along a dimension: values and slopes of the function, two (rows, size)."""
    lineage, size = lineage_of(x), x.shape[dim]
    rng, z = np.random.default_rng(0), grid()[0]
    share = np.sqrt(_row_correlation(x, dim))
    rows = max(16, SAMPLES // size // 16)
    drawn = share * rng.standard_normal((rows, 1)) + np.sqrt(1 - share**2) * rng.standard_normal((rows, size))
    node = int(np.argmax(lineage.base.share.reshape(-1, lineage.base.mean.size).sum(0)))
    return np.interp(drawn, z, lineage.value[node]), np.interp(drawn, z, lineage.slope[node])


def _row_correlation(x: Table, dim: int) -> float:
    """Between two entries of a row, where the other dimensions agree; it is at least 0."""
    base = lineage_of(x).base
    start = sum(len(d) for d in x.dims[:dim])
    kernel = base.correlation
    axes = base.table.axes
    for i in reversed(range(len(axes))):
        if not start <= i < start + len(x.dims[dim]):
            kernel = np.tensordot(_axes.average_agreeing(axes[i]), kernel, (0, i))
    row = axes[start : start + len(x.dims[dim])]
    size = x.shape[dim]
    if size < 2:
        return 0.0
    return float(np.clip((pair_average(kernel, row) * size - agreeing_average(kernel, row)) / (size - 1), 0.0, 1.0))
