"""Gradients back through the tables: of the whole run, or of one layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradscope.predict._axes import Array
from gradscope.predict._table import Table, agreeing_average


def ancestors(tables: Sequence[Table]) -> list[Table]:
    """The tables and everything they were computed from, in order of computation."""
    seen: dict[int, Table] = {}
    stack = list(tables)
    while stack:
        table = stack.pop()
        if table.order not in seen:
            seen[table.order] = table
            stack.extend(table.parents)
    return [seen[order] for order in sorted(seen)]


def propagate(output: Table, cotangent: Array) -> None:
    """Carry E g_I g_J from `output` to every table it was computed from."""
    output.gradient = cotangent
    for table in reversed(ancestors([output])):
        if table.gradient is None or table.backward is None:
            continue
        conditions: Sequence[Array | None] = [None] * len(table.parents)
        if table.condition is not None:
            average = agreeing_average(table.gradient, table.axes)
            conditions = table.condition(np.asarray(average) if table.conditional is None else table.conditional)
        for passed, moment in table.passed_by(table.gradient):
            passed.shadow += moment
            table.skipped.append(passed)
        received = table.backward(table.gradient)
        if table.tilt and table.role in ("same", "times", "sum"):
            _hand_on_tilt(table)
        for parent, gradient, condition in zip(table.parents, received, conditions, strict=True):
            table.sent.append(0.0 if gradient is None else agreeing_average(gradient, parent.axes))
            if gradient is not None:
                _receive(parent, gradient, condition)


def _hand_on_tilt(table: Table) -> None:
    """To the tensors that a sum or an affine map was made of, by their share in it."""
    sources = [parent for parent in table.parents if not parent.is_initial and parent.size == table.size]
    total = sum(source.second_moment for source in sources)
    for source in sources:
        source.tilt = max(source.tilt, table.tilt * source.second_moment / total if total > 0 else 0.0)


def pulled(output: Table, sources: Sequence[Table]) -> float | None:
    """Sum over the entries of `sources` of E (J^T r)^2, J from them to `output` and r ~ N(0, 1): ||J||_F^2.

    None where `output` does not depend on them in a way that is known.
    """
    wanted = {s.order: s for s in sources}
    first = min(wanted)
    cotangent = np.zeros_like(output.second)
    cotangent[tuple(slice(len(a.groups)) for a in output.axes)] = 1.0
    gradients: dict[int, Array] = {output.order: cotangent}
    tables = {output.order: output}
    found = 0.0
    is_reached = False
    while tables:
        table = tables.pop(max(tables))
        gradient = gradients.pop(table.order)
        if table.order in wanted:
            found, is_reached = found + agreeing_average(gradient, table.axes) * table.size, True
            continue
        for passed, moment in table.passed_by(gradient):
            if passed.order in wanted:
                found, is_reached = found + moment * passed.size, True
        if table.backward is None or table.order < first:
            continue
        for parent, received in zip(table.parents, table.backward(gradient), strict=True):
            if received is not None and not parent.is_initial:
                tables[parent.order] = parent
                known = gradients.get(parent.order)
                gradients[parent.order] = received if known is None else known + received
    return found if is_reached else None


def _receive(table: Table, gradient: Array, condition: Array | None) -> None:
    """Add a gradient, and what is known of it given the value of the table."""
    if condition is not None or table.conditional is not None:
        known = 0.0 if table.gradient is None else agreeing_average(table.gradient, table.axes)
        before = known if table.conditional is None else table.conditional
        added = agreeing_average(gradient, table.axes) if condition is None else condition
        table.conditional = np.asarray(before + added)
    table.gradient = gradient if table.gradient is None else table.gradient + gradient
