"""How numbers, durations and lists of layers are written, the same in every format."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len

from gradscope.schema import Estimate, Verdict

_NARROW = 0.01  # an interval within 1 % of the value says no more than the value
_PLAIN = (1e-2, 1e4)  # magnitudes written without an exponent


def number(value: float, *, digits: int = 3) -> str:
    """A few significant digits, and an exponent only where it is needed: 0.0123, 1234, 3.1e-9."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    low, high = _PLAIN
    if low <= abs(value) < high:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def estimate(value: Estimate | None) -> str:
    """A number with the interval it lies in, or the reason why there is none."""
    if value is None:
        return "not measured"
    if value.status == "nonfinite":
        return number(value.value)
    if not value.is_known:
        return value.status.replace("-", " ")
    if value.high - value.low <= _NARROW * abs(value.value):
        return number(value.value)
    if math.isinf(value.high) and value.low <= 0:
        return f"{number(value.value)} [no bounds]"
    if math.isinf(value.high):
        return f"{number(value.value)} [at least {number(value.low)}]"
    return f"{number(value.value)} [{number(value.low)}, {number(value.high)}]"


def brief(value: Estimate | None, *, digits: int = 3) -> str:
    """The number alone, for a table cell; a dash where it is unknown."""
    if value is None or not (value.is_known or value.status == "nonfinite"):
        return "-"
    return number(value.value, digits=digits)


def maybe(value: float | None) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else number(value)


def root(second_moment: Estimate) -> float:
    """The rms that belongs to a second moment; NaN where it is unknown."""
    return math.sqrt(second_moment.value) if second_moment.value >= 0 else math.nan


def duration(seconds: float) -> str:
    """Seconds for a human: 3 ms, 2.4 s, 1 min 12 s."""
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def count(n: int, singular: str, plural: str | None = None) -> str:
    """`1 layer`, `12 layers`, `1,234 layers`."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def share(fraction: float) -> str:
    """A percentage that says 100 or 0 only when it is exactly that."""
    percent = 100 * fraction
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.3g} %"


def risk(verdict: Verdict) -> str:
    """`risk 0.07`, or that it is not known."""
    return "risk not known" if math.isnan(verdict.risk) else f"risk {verdict.risk:.2f}"


def conditions(verdict: Verdict) -> str:
    """One sentence of all conditions that the verdict holds under; empty without any."""
    *others, last = verdict.conditions or ("",)
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"In {verdict.basis} it {listed}." if listed else ""


def some(names: Sequence[str], *, limit: int = 4) -> str:
    """The first names and how many there are besides: `layers.0, layers.1, layers.2 and 27 more`."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[: limit - 1])} and {len(names) - limit + 1} more"


def tail(name: str, width: int, *, more: str = "...") -> str:
    """The end of a layer's path, which tells most, in at most `width` terminal cells."""
    if cell_len(name) <= width:
        return name
    while name and cell_len(more + name) > width:
        name = name[1:]
    return more + name
