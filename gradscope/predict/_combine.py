"""Sums and products of two tables: exact along a shared lineage, by independence otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradscope.predict._axes import Array
from gradscope.predict._fixed import fitted
from gradscope.predict._gaussian import Lineage, lineage_of, table_of
from gradscope.predict._grid import grid
from gradscope.predict._marginal import given_summand, shape_of, sum_shape
from gradscope.predict._table import Table, firsts, seconds
from gradscope.predict._view import aligned


def added(x: Table, y: Table, factor: float = 1.0) -> Table:
    """x + factor * y."""
    if kin := _kin(x, y):
        a, b = kin
        return _joined(x, y, a.value + factor * b.value, 1.0, factor)
    shape = sum_shape(x, y, factor, *grid()) if x.size == y.size or y.is_initial else None
    x, y = aligned(*fitted(x, y))
    axes = x.axes
    cross = firsts(x.mean, axes) * seconds(y.mean, axes) + firsts(y.mean, axes) * seconds(x.mean, axes)
    second = x.second + factor**2 * y.second + factor * cross
    out = Table(x.dims, x.mean + factor * y.mean, second, (x, y), lambda g: [g, factor**2 * g], role="sum")
    if y.is_initial and not x.is_initial:  # a bias: what follows sees the sum, fluctuations see what it was added to
        out.notes["functions"] = x.notes.setdefault("functions", [])
    if shape is not None:
        out.notes["shape"] = shape
        parts = ((x, y, 1.0, factor), (y, x, factor, 1.0))
        out.condition = lambda own: [given_summand(own, out, *part, *grid()) for part in parts]
    return out


def multiplied(x: Table, y: Table) -> Table:
    """x * y."""
    if kin := _kin(x, y):
        a, b = kin
        return _joined(x, y, a.value * b.value, b.value, a.value)
    shape = shape_of(x, *grid()) if _is_sure(y) else None
    x, y = aligned(*fitted(x, y))
    second = x.second * y.second
    out = Table(x.dims, x.mean * y.mean, second, (x, y), lambda g: [g * y.second, g * x.second], role="times")
    if shape is not None:
        out.notes["shape"] = shape
    return out


def _is_sure(x: Table) -> bool:
    """Whether all entries of a parameter or constant are the same positive number."""
    return x.is_initial and x.average > 0 and bool(np.all(np.abs(x.second - x.average**2) <= 1e-12 * x.average**2))


def combined(x: Table, y: Table, function: Callable[[Array, Array], tuple[Array, Array, Array]]) -> Table | None:
    """Any function of two tables of one lineage: value and both slopes on the grid; None if they share none."""
    if kin := _kin(x, y):
        a, b = kin
        return _joined(x, y, *function(a.value, b.value))
    return None


def _kin(x: Table, y: Table) -> tuple[Lineage, Lineage] | None:
    """Both as functions of the same table; None if they are not."""
    if x.dims != y.dims or _root(x) is not _root(y):
        return None
    return lineage_of(x), lineage_of(y)


def _root(x: Table) -> Table:
    """The table that x is a function of, or x itself."""
    if x.lineage is not None:
        return x.lineage.base.table
    return _root(x.notes["multiple_of"][0]) if "multiple_of" in x.notes else x


def _joined(x: Table, y: Table, value: Array, slope_x: Array | float, slope_y: Array | float) -> Table:
    a, b = x.lineage, y.lineage
    assert a is not None and b is not None
    one = a.onward(x, value, a.slope * 0 + slope_x)
    other = b.onward(y, value, b.slope * 0 + slope_y)
    trail: dict[int, tuple[Table, Array]] = {}
    for table, slope in (*one.trail, *other.trail):
        known = trail.get(table.order)
        trail[table.order] = (table, slope if known is None else known[1] + slope)
    return table_of(Lineage(a.base, value, one.slope + other.slope, tuple(trail.values())), x.dims)
