"""Normalizations that a model writes out itself, such as x * rsqrt(mean(x^2) + eps), recognized by their parts.

Taken one operator at a time, the scale would be an independent random number, and the gradient would keep its
component along x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradscope.predict._changes import scaled
from gradscope.predict._normalize import normalized
from gradscope.predict._table import Table

_NOTE = "size_of"
_POWERS = {"sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0, "square": 2.0}
_KEEPING = ("clamp", "clamp_min", "expand", "expand_as", "maximum")  # a floor that is hardly ever reached, a broadcast


@dataclass(frozen=True, eq=False)
class Size:
    """A power of the mean square of a table over some of its axes.

    Attributes:
        of: the table, or the one that was centred first.
        over: its flat axes that the mean was taken over; None before a mean was taken.
        exponent: 1 for the mean square.
        epsilon: what was added to the mean square.
        factor: what the power is multiplied with.
        is_centred: whether the mean was removed first.
    """

    of: Table
    over: tuple[int, ...] | None = None
    exponent: float = 1.0
    epsilon: float = 0.0
    factor: float = 1.0
    is_centred: bool = False


def squared(x: Table, out: Table) -> Table:
    """Note that `out` is x^2."""
    out.notes[_NOTE] = Size(x)
    return out


def averaged_over(x: Table, out: Table, over: Sequence[int], factor: float = 1.0) -> None:
    """Note that `out` is `factor` times the mean of x over axes, if x is a square."""
    size = x.notes.get(_NOTE)
    if size is not None and size.over is None and size.exponent == 1.0:
        out.notes[_NOTE] = replace(size, over=tuple(over), factor=factor)


def is_variance(x: Table, out: Table, over: Sequence[int]) -> None:
    """Note that `out` is the variance of x over axes."""
    out.notes[_NOTE] = Size(x, tuple(over), is_centred=True)


def mapped(name: str, x: Table, out: Table, power: object = None) -> Table:
    """Note what an elementwise function made of the size that x is."""
    if name == "pow" and power == 2:
        return squared(x, out)
    size = x.notes.get(_NOTE)
    if size is None or size.over is None:
        return out
    if name in _KEEPING:
        out.notes[_NOTE] = size
    exponent = power if name == "pow" else _POWERS.get(name)
    if isinstance(exponent, int | float):
        out.notes[_NOTE] = replace(size, exponent=size.exponent * exponent, factor=size.factor**exponent)
    return out


def shifted(x: Table, out: Table, number: float) -> Table:
    """Note an epsilon that was added to a mean square; beside a root it is too small to matter."""
    size = x.notes.get(_NOTE)
    if size is not None and size.over is not None:
        out.notes[_NOTE] = replace(size, epsilon=size.epsilon + number) if size.exponent == 1.0 else size
    return out


def normalization(x: Table, y: Table, *, is_division: bool) -> Table | None:
    """x * y or x / y where y is the inverse root of the mean square of x; None where it is not."""
    size = y.notes.get(_NOTE)
    if size is None or size.over is None or size.exponent != (0.5 if is_division else -0.5):
        return None
    if size.of is not (x.notes.get("centred_of") if size.is_centred else x):
        return None
    out = normalized(x, size.over, size.epsilon, is_centring=False)
    factor = 1.0 / size.factor if is_division else size.factor
    return out if factor == 1.0 else scaled(out, factor)
