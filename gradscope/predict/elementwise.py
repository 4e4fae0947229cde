"""Elementwise functions of one tensor: any of them, by running it on the grid of its Gaussian."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gradscope.predict import _by_hand as by_hand
from gradscope.predict._combine import multiplied
from gradscope.predict._gaussian import evaluated, lineage_of, table_of
from gradscope.predict._pieces import taken
from gradscope.predict._rules import Call, rule
from gradscope.predict._table import Table


@rule(
    "pointwise", "relu", "gelu", "silu", "mish", "elu", "celu", "softplus", "leaky_relu", "hardtanh", "hardswish",
    "hardsigmoid", "hardshrink", "softshrink", "log_sigmoid", "threshold", "clamp", "prelu_scalar", "pow", "logit",
)  # fmt: skip
def elementwise(call: Call) -> Table:
    """f(x), with f' from autograd."""
    (x,) = call.tables
    position = next(i for i, a in enumerate(call.args) if a is x)

    def run(t: Tensor) -> Tensor:
        return call.function(*call.args[:position], t, *call.args[position + 1 :], **call.kwargs)

    return by_hand.mapped(call.name, x, applied(x, run), call.given(1, "exponent"))


@rule("log_sigmoid_forward")
def log_sigmoid(call: Call) -> list[Table | None]:
    """With a buffer for its backward pass."""
    return [applied(call.args[0], torch.nn.functional.logsigmoid), None]


@rule("glu")
def gated(call: Call) -> Table:
    """One half times the sigmoid of the other."""
    x = call.args[0]
    dim = call.given(1, "dim", -1) % len(x.dims)
    half = x.shape[dim] // 2
    return multiplied(taken(x, dim, 0, half), applied(taken(x, dim, half, half), torch.sigmoid))


def applied(x: Table, function: Callable[[Tensor], Tensor]) -> Table:
    """An elementwise function of a table."""
    lineage = lineage_of(x)
    value, slope = evaluated(function, lineage.value)
    out = table_of(lineage.onward(x, value, slope), x.dims)
    if "scores" in x.notes and x.second_moment > 0:  # a soft cap before the softmax
        out.notes["scores"] = x.notes["scores"].scaled((out.second_moment / x.second_moment) ** 0.5)
    return out
