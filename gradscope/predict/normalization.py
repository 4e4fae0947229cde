"""Batch, layer, group and RMS norms with their affine parameters; instance norm arrives as a batch norm."""

from __future__ import annotations

import math

from gradscope.predict._changes import relabelled, scaled
from gradscope.predict._combine import added, multiplied
from gradscope.predict._normalize import normalized
from gradscope.predict._rules import Call, rule
from gradscope.predict._table import Table
from gradscope.predict._view import viewed
from gradscope.predict.elementwise import applied


@rule("native_layer_norm")
def layer_norm(call: Call) -> list[Table | None]:
    """Over the last dimensions."""
    x, shape, weight, bias, eps = call.args[:5]
    return [_affine(normalized(x, _last(x, len(shape)), eps), weight, bias), None, None]


@rule("_fused_rms_norm")
def rms_norm(call: Call) -> list[Table | None]:
    """Over the last dimensions, without centring."""
    x, shape, weight, eps = call.args[:4]
    y = normalized(x, _last(x, len(shape)), eps or 1.2e-7, is_centring=False)
    return [_affine(y, weight, None), None]


@rule("native_group_norm")
def group_norm(call: Call) -> list[Table | None]:
    """Over the channels of a group and all positions."""
    x, weight, bias, n, channels, _, groups, eps = call.args[:8]
    grouped = viewed(x, (n, groups, channels // groups, *x.shape[2:]))
    start = sum(len(d) for d in grouped.dims[:2])
    y = viewed(normalized(grouped, range(start, len(grouped.axes)), eps), x.shape)
    return [_affine(y, _per_channel(weight, x), _per_channel(bias, x)), None, None]


@rule("_weight_norm_interface")
def weight_norm(call: Call) -> list[Table | None]:
    """A direction of length one over all dimensions but `dim`, times its length."""
    direction, length = call.args[:2]
    dim = call.given(2, "dim", 0) % len(direction.dims)
    own = range(sum(len(d) for d in direction.dims[:dim]), sum(len(d) for d in direction.dims[: dim + 1]))
    over = [i for i in range(len(direction.axes)) if i not in own]
    entries = math.prod(direction.axes[i].size for i in over)
    unit = scaled(normalized(direction, over, 0.0, is_centring=False), 1.0 / math.sqrt(entries))
    return [multiplied(unit, length), None]


@rule(
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "_batch_norm_with_update",
    "_batch_norm_no_update", "cudnn_batch_norm", "miopen_batch_norm",
)  # fmt: skip
def batch_norm(call: Call) -> list[Table | None]:
    """Over samples and positions in training, by the running statistics otherwise."""
    x, weight, bias, running_mean, running_variance = call.args[:5]
    eps = float(call.args[-1])
    if _is_training(call):
        start = len(x.dims[0])
        channels = range(start, start + len(x.dims[1]))
        y = normalized(x, [i for i in range(len(x.axes)) if i not in channels], eps)
    else:
        mean, scale = running_mean.average, 1.0 / math.sqrt(running_variance.average + eps)
        y = applied(x, lambda t: (t - mean) * scale)
    rest = [None] * (len(call.shapes) - 1)
    return [_affine(y, _per_channel(weight, x), _per_channel(bias, x)), *rest]


def _is_training(call: Call) -> bool:
    if call.name in ("_batch_norm_no_update", "_native_batch_norm_legit_no_training"):
        return False
    if call.name == "_native_batch_norm_legit" and isinstance(call.args[3], bool):
        return call.args[3]
    return call.name == "_batch_norm_with_update" or bool(call.args[5])


def _affine(y: Table, weight: Table | None, bias: Table | None) -> Table:
    y = y if weight is None else multiplied(y, weight)
    return y if bias is None else added(y, bias)


def _last(x: Table, count: int) -> range:
    return range(sum(len(d) for d in x.dims[: len(x.dims) - count]), len(x.axes))


def _per_channel(parameter: Table | None, x: Table) -> Table | None:
    if parameter is None:
        return None
    return relabelled(parameter, (*parameter.dims, *((),) * (len(x.dims) - 2)))
