"""Sums, means and variances over dimensions."""

from __future__ import annotations

import math

from gradscope.predict import _by_hand as by_hand
from gradscope.predict._changes import relabelled, total
from gradscope.predict._normalize import normalized
from gradscope.predict._rules import Call, rule
from gradscope.predict._table import Table
from gradscope.predict.elementwise import applied


@rule("mean", "sum")
def reduce(call: Call) -> Table:
    """The mean or the sum over dimensions."""
    x = call.args[0]
    dims, keep = _dims(call, x), bool(call.given(2, "keepdim", False))
    out = averaged(x, dims) if call.name == "mean" else _summed(x, dims)
    over = [i for d in dims for i in _flat_axes(x, d)]
    count = math.prod(x.shape[d] for d in dims)
    by_hand.averaged_over(x, out, over, 1.0 if call.name == "mean" else float(count))
    if call.name == "mean":
        out.notes["mean_of"] = (x, over)
    kept = out if keep else relabelled(out, tuple(d for i, d in enumerate(out.dims) if i not in dims))
    kept.notes.update(out.notes)
    return kept


@rule("var", "var_mean", "std")
def variance(call: Call) -> Table | list[Table | None]:
    """The variance over dimensions, taken as a function of the centred tensor."""
    x = call.args[0]
    dims = _dims(call, x)
    keep = bool(call.kwargs.get("keepdim", False))
    over = [i for d in dims for i in _flat_axes(x, d)]
    count = math.prod(x.shape[d] for d in dims)
    correction = call.kwargs.get("correction", 1)
    unbiased = count / max(1, count - (1 if correction is None else correction))
    centred = normalized(x, over, 0.0, is_scaling=False)
    squares = averaged(applied(centred, lambda t: t * t * unbiased), dims)
    by_hand.is_variance(x, squares, over)
    if call.name == "std":
        squares = by_hand.mapped("sqrt", squares, applied(squares, lambda t: t.clamp(min=0).sqrt()))
    mean = averaged(x, dims)
    outs = [squares, mean] if call.name == "var_mean" else [squares]
    if not keep:
        outs = [relabelled(o, tuple(d for i, d in enumerate(o.dims) if i not in dims)) for o in outs]
    if call.name == "var_mean":
        outs[1].notes["mean_of"] = (x, over)
        return list(outs)
    return outs[0]


@rule("linalg_vector_norm", "norm")
def vector_norm(call: Call) -> Table:
    """The Euclidean norm over dimensions."""
    x = call.args[0]
    dims = [d % len(x.dims) for d in (call.given(2, "dim") or range(len(x.dims)))]
    squares = _summed(applied(x, lambda t: t * t), dims)
    squares.notes["size_of"] = by_hand.Size(
        x, tuple(i for d in dims for i in _flat_axes(x, d)), factor=math.prod(x.shape[d] for d in dims)
    )
    out = by_hand.mapped("sqrt", squares, applied(squares, lambda t: t.clamp(min=0).sqrt()))
    if call.given(3, "keepdim", False):
        return out
    return relabelled(out, tuple(d for i, d in enumerate(out.dims) if i not in dims))


def averaged(x: Table, dims: list[int]) -> Table:
    """The mean over dimensions, which keep size 1."""
    for dim in dims:
        while x.dims[dim]:
            x = total(x, dim, scale=1.0 / x.dims[dim][0].size)
    return x


def _summed(x: Table, dims: list[int]) -> Table:
    for dim in dims:
        while x.dims[dim]:
            x = total(x, dim)
    return x


def _dims(call: Call, x: Table) -> list[int]:
    given = call.given(1, "dim")
    if given is None or given == [] or not isinstance(given, int | list | tuple) or isinstance(given, bool):
        return list(range(len(x.dims)))
    return sorted(d % len(x.dims) for d in ([given] if isinstance(given, int) else given))


def _flat_axes(x: Table, dim: int) -> range:
    start = sum(len(d) for d in x.dims[:dim])
    return range(start, start + len(x.dims[dim]))
