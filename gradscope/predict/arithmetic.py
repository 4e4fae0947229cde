"""Sums, differences, products and quotients."""

from __future__ import annotations

from gradscope.predict import _by_hand as by_hand
from gradscope.predict._changes import scaled
from gradscope.predict._combine import added, multiplied
from gradscope.predict._mask import masked
from gradscope.predict._normalize import normalized
from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Table
from gradscope.predict.elementwise import applied


@rule("add", "sub", "rsub")
def add(call: Call) -> Table:
    """x + alpha y; x minus its own mean is centring; plus a mask it is masking."""
    x, y = call.args[:2]
    factor = float(call.kwargs.get("alpha", 1.0)) * (1.0 if call.name == "add" else -1.0)
    if call.name == "rsub":
        x, y, factor = (y, x, -1.0)
    number = _number(y)
    if number is not None and isinstance(x, Table):
        return by_hand.shifted(x, applied(x, lambda t: t + factor * number), factor * number) if number else x
    number = _number(x)
    if number is not None and isinstance(y, Table):
        out = applied(y, lambda t: number + factor * t)
        return by_hand.shifted(y, out, number) if factor == 1.0 else out
    if "mask" in y.notes or "mask" in x.notes:
        return masked(x, y) if "mask" in y.notes else masked(y, x)
    if factor == -1.0 and y.notes.get("mean_of", (None,))[0] is x:
        return normalized(x, y.notes["mean_of"][1], 0.0, is_scaling=False)
    if factor == 1.0 and (between := _between(x, y) or _between(y, x)) is not None:
        return between
    out = added(x, y, factor)
    if factor == -1.0:
        out.notes["difference"] = (x, y)
    if "scores" in x.notes:
        out.notes["scores"] = x.notes["scores"].biased(y.second_moment - y.average**2)
    return out


@rule("lerp")
def interpolate(call: Call) -> Table:
    """x + weight * (y - x)."""
    x, y, weight = call.args[:3]
    if not isinstance(weight, Table):
        return added(scaled(x, 1.0 - float(weight)), scaled(y, float(weight)))
    return added(multiplied(x, applied(weight, lambda t: 1.0 - t)), multiplied(y, weight))


def _between(x: Table, y: Table) -> Table | None:
    """x + w (z - x) as (1 - w) x + w z, which are not correlated: the update of a gated cell; None if y is not that."""
    z, source, weight = y.notes.get("gated_difference", (None, None, None))
    if z is None or source is not x or weight is None:
        return None
    return added(multiplied(x, applied(weight, lambda t: 1.0 - t)), multiplied(z, weight))


@rule("mul", "div", "true_divide")
def multiply(call: Call) -> Table:
    """x y or x / y."""
    x, y = call.args[:2]
    is_division = call.name != "mul"
    if call.kwargs.get("rounding_mode"):
        raise NoRule("division with rounding")
    number = _number(y)
    if number is not None and isinstance(x, Table):
        return _times(x, 1.0 / number if is_division else number)
    number = _number(x)
    if number is None and (out := _normalization(x, y, is_division=is_division)) is not None:
        return out
    if is_division:
        if number is not None:
            out = applied(y, lambda t: number / t)
            return by_hand.mapped("reciprocal", y, out) if number == 1 else out
        return multiplied(x, applied(y, lambda t: 1.0 / t))
    if number is not None:
        return _times(y, number)
    if _is_zero_or_one(y) and "scores" in x.notes:  # what is set to zero here is ruled out next
        out = multiplied(x, y)
        out.notes["scores"] = x.notes["scores"]
        return out
    if x is y:
        return by_hand.squared(x, multiplied(x, y))
    for difference, weight in ((x, y), (y, x)):
        if "difference" in difference.notes and not weight.is_initial:
            out = multiplied(x, y)
            out.notes["gated_difference"] = (*difference.notes["difference"], weight)
            return out
    return _kept(x, y) if "keep" in y.notes else multiplied(x, y)


def _normalization(x: Table, y: Table, *, is_division: bool) -> Table | None:
    """x over its own root mean square, in either order of a product."""
    out = by_hand.normalization(x, y, is_division=is_division)
    return by_hand.normalization(y, x, is_division=False) if out is None and not is_division else out


@rule("addcmul")
def add_product(call: Call) -> Table:
    """x + value * a * b."""
    x, a, b = call.args[:3]
    return added(x, multiplied(a, b), float(call.kwargs.get("value", 1.0)))


@rule("maximum", "minimum")
def extreme(call: Call) -> Table:
    """The larger or smaller of a tensor and a number."""
    x, y = call.args[:2]
    number = _number(y)
    if number is None:
        raise NoRule("maximum of two random tensors")
    return applied(x, lambda t: t.clamp(min=number) if call.name == "maximum" else t.clamp(max=number))


def _is_zero_or_one(x: Table) -> bool:
    return x.value is not None and bool(((x.value == 0) | (x.value == 1)).all())


def _kept(x: Table, mask: Table) -> Table:
    """x times a dropout mask."""
    out = multiplied(x, mask)
    if "attention" in x.notes:
        out.notes["attention"] = x.notes["attention"].dropped(1.0 - mask.notes["keep"])
    return out


def _times(x: Table, factor: float) -> Table:
    out = scaled(x, factor)
    if "keep" in x.notes:
        out.notes["keep"] = x.notes["keep"]
    out.notes["multiple_of"] = (x, factor)
    if "scores" in x.notes:
        out.notes["scores"] = x.notes["scores"].scaled(factor)
    if "attention" in x.notes:
        out.notes["attention"] = x.notes["attention"].scaled(factor)
    return out


def _number(x: object) -> float | None:
    """The value of a number, or of a constant tensor of one element."""
    if isinstance(x, Table):
        return float(x.value) if x.value is not None and x.value.numel() == 1 else None
    return float(x)  # type: ignore[arg-type]
