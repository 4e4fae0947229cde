"""What stands for an operator that has no rule: a guess that is marked as one."""

from __future__ import annotations

import numpy as np

from gradscope.predict._axes import Array
from gradscope.predict._rules import Call
from gradscope.predict._table import Table, agreeing_average, independent


def fallback(call: Call, shape: tuple[int, ...]) -> Table:
    """An operator that is not understood: independent entries as large as its largest input.

    Its gradient is spread evenly, with as much of it reaching every input as arrived.
    """
    sources = [t for t in call.tables if not t.is_initial and t.value is None]
    size = max((t.second_moment for t in sources), default=0.0)
    out = independent(shape, 0.0, size)
    out.is_initial = not sources
    out.parents = tuple(sources)
    out.role = "guess"

    def backward(gradient: Array) -> list[Array]:
        arrived = agreeing_average(gradient, out.axes) * out.size
        shares = []
        for source in sources:
            share = np.zeros_like(source.second)
            share[tuple(slice(len(a.groups)) for a in source.axes)] = arrived / source.size
            shares.append(share)
        return shares

    out.backward = backward
    return out
