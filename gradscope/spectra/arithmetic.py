"""Sums, differences and scalings: the Jacobian is constant and needs no look at the data."""

from __future__ import annotations

import math
from numbers import Real

from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._rules import argument, data, name_of, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, exact
from gradscope.spectra._sweep import Sweep
from gradscope.spectra.elementwise import elementwise


@rule("add", "radd", "iadd", "sub", "subtract", "rsub", "isub", "neg", "negative")
def addition(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """a ± αb: √(1 + α²) jointly in two inputs of equal shape, 1 or |α| in one.

    An input that is broadcast r times contributes r α² (the outputs that share it add up).
    """
    inputs = data(call)
    if not inputs:
        return SOURCE
    if not isinstance(call.output, Tensor) or any(t.is_complex() for t in inputs):
        return None
    a, b = argument(call, 0, "input"), argument(call, 1, "other")
    name, alpha = name_of(call), float(call.kwargs.get("alpha", 1))
    total = call.output.numel()
    if a is b:  # one tensor twice
        sign = -1 if "sub" in name else 1
        return exact(abs(1 + sign * alpha), abs(1 + sign * alpha), total)
    is_first_scaled = name == "rsub"
    scales = [alpha if (t is b) != is_first_scaled else 1.0 for t in inputs]
    repeats = [total / max(1, t.numel()) for t in inputs]
    if sum(r != 1 for r in repeats) > 1:
        return None
    squares = [r * s * s for r, s in zip(repeats, scales, strict=True)]
    columns = sum(t.numel() for t in inputs)
    gain = math.sqrt(total * sum(s * s for s in scales) / max(1, columns))
    method = "exact" if len(inputs) == 1 else f"exact (jointly in {len(inputs)} inputs)"
    return exact(math.sqrt(sum(squares)), gain, columns, method)


@rule("mul", "multiply", "rmul", "imul", "div", "divide", "true_divide", "truediv", "itruediv")
def scaling(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """A product with a number is a scaling; any other product is elementwise."""
    a, b = argument(call, 0, "input"), argument(call, 1, "other")
    if not isinstance(a, Tensor) or not isinstance(b, Real) or call.kwargs.get("rounding_mode"):
        return elementwise(call, sweep)
    if not data(call):
        return SOURCE
    factor = abs(float(b)) if "mul" in name_of(call) else 1 / abs(float(b)) if b else math.inf
    return exact(factor, factor, a.numel() * (2 if a.is_complex() else 1))
