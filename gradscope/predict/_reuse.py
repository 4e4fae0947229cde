"""Sums of tensors that went through the same parameter at different times: a recurrence, or shared blocks.

Such tensors are correlated in a way that their tables do not hold: the bias of a recurrent cell is the same at every
step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gradscope.predict._table import Table

Uses = dict[int, int]  # by parameter: which of its uses a tensor depends on, one bit each


def entangled(tables: Sequence[Table]) -> set[int]:
    """The sums whose parts depend on different uses of one parameter.

    Args:
        tables: in order of computation.
    """
    uses: dict[int, Uses] = {}
    found: set[int] = set()
    count: Counter[int] = Counter()
    reused = {order for order, n in Counter(order for t in tables for order in _parameters(t)).items() if n > 1}
    for table in tables:
        parts = [uses[p.order] for p in table.parents if uses.get(p.order)]
        if table.role == "sum" and len(parts) > 1 and _differ(parts[0], parts[1]):
            found.add(table.order)
        own: Uses = {}
        for part in parts:
            for order, mask in part.items():
                own[order] = own.get(order, 0) | mask
        for order in _parameters(table):
            if order in reused:
                own[order] = own.get(order, 0) | 1 << count[order]
                count[order] += 1
        uses[table.order] = own
    return found


def _parameters(table: Table) -> list[int]:
    """The parameters that this table brings together with something that is not one."""
    if all(p.is_initial for p in table.parents):
        return []
    roots = [_root(p) for p in table.parents if p.is_initial]
    return [root.order for root in roots if "is_parameter" in root.notes]


def _root(table: Table) -> Table:
    """What an initial table is a view of."""
    while table.parents:
        table = table.parents[0]
    return table


def _differ(one: Uses, other: Uses) -> bool:
    return any(mask != other[order] for order, mask in one.items() if order in other)
