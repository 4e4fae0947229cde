"""Questions whose answer does not depend on the draw: a tensor of finite moments holds no infinity and no NaN."""

from __future__ import annotations

import math

import torch

from gradscope.predict._rules import Call, rule
from gradscope.predict._table import Table, constant


@rule("isinf", "isnan")
def is_infinite(call: Call) -> Table | None:
    """No, where the moments are finite."""
    (x,) = call.tables
    return _answer(call, False) if math.isfinite(x.second_moment) else None


@rule("eq", "ne")
def is_itself(call: Call) -> Table | None:
    """A tensor equals itself and differs from infinity, which is how `isfinite` asks; anything else depends on data."""
    x, y = call.args[:2]
    if not isinstance(x, Table) or not math.isfinite(x.second_moment):
        return None
    if y is x or (isinstance(y, int | float) and math.isinf(y)):
        return _answer(call, (y is x) == (call.name == "eq"))
    return None


def _answer(call: Call, answer: bool) -> Table:
    table = constant(call.shape, 0.0)
    table.value = torch.tensor(answer).expand(call.shape)
    return table
