"""Operators that only rearrange: views, permutations, broadcasts and copies."""

from __future__ import annotations

import math

from gradscope.predict import _axes
from gradscope.predict._by_hand import mapped
from gradscope.predict._changes import expanded, permuted, relabelled
from gradscope.predict._marginal import kept_shape
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Dims, Table
from gradscope.predict._view import viewed


@rule("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten", "_reshape_alias")
def view(call: Call) -> Table:
    """Another shape in row-major order."""
    x = call.args[0]
    return x if x.shape == call.shape else kept_shape(viewed(x, call.shape), x)


@rule(
    "clone", "contiguous", "_to_copy", "alias", "lift_fresh", "to", "positive", "dropout_eval", "real", "_conj",
    "resolve_conj", "requires_grad", "view_dtype", "type_as",
)  # fmt: skip
def copy(call: Call) -> Table:
    """The same numbers."""
    return call.args[0]


@rule("as_strided")
def as_strided(call: Call) -> Table:
    """A view, where it keeps all entries in order."""
    x, shape, strides = call.args[:3]
    contiguous = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    is_ordered = all(n == 1 or s == c for n, s, c in zip(shape, strides, contiguous, strict=True))
    if math.prod(shape) != x.size or not is_ordered:
        raise NoRule("overlapping or reordered strides")
    return viewed(x, shape)


@rule("detach")
def detach(call: Call) -> Table:
    """The same numbers, without a gradient."""
    x = call.args[0]
    return Table(x.dims, x.mean, x.second, value=x.value, is_initial=x.is_initial)


@rule("t", "transpose", "permute", "movedim", "numpy_T", "swapaxes")
def permute(call: Call) -> Table:
    """Dimensions in another order."""
    x = call.args[0]
    order = list(range(len(x.dims)))
    if call.name in ("t", "numpy_T"):
        order.reverse()
    elif call.name == "permute":
        order = [d % len(order) for d in call.args[1]]
    else:
        a, b = (d % len(order) for d in call.args[1:3])
        order[a], order[b] = order[b], order[a]
    return kept_shape(permuted(x, order), x)


@rule("expand", "broadcast_to", "expand_as")
def expand(call: Call) -> Table:
    """Dimensions of size 1 repeated."""
    x = call.args[0]
    out = relabelled(x, (((),) * (len(call.shape) - len(x.dims))) + x.dims)
    for dim, size in enumerate(call.shape):
        if out.shape[dim] == 1 and size > 1:
            out = expanded(out, dim, [_axes.exchangeable(size)])
    return mapped(call.name, x, out) if out is not x else x


@rule("repeat", "tile")
def repeat(call: Call) -> Table:
    """The tensor side by side with itself."""
    x = call.args[0]
    times = call.args[1]
    out = relabelled(x, (((),) * (len(times) - len(x.dims))) + x.dims)
    for dim, count in enumerate(times):
        if count > 1:
            out = relabelled(out, (*out.dims[:dim], (), *out.dims[dim:]))
            out = expanded(out, dim, [_axes.exchangeable(count)])
            out = relabelled(out, _joined(out.dims, dim))
    return out


@rule("flip", "roll", "as_strided_identity")
def moved(call: Call) -> Table:
    """Positions moved around: of an exchangeable axis nothing changes, of others the borders are taken as wrapped."""
    return call.args[0]


def _joined(dims: Dims, dim: int) -> Dims:
    return (*dims[:dim], dims[dim] + dims[dim + 1], *dims[dim + 2 :])
