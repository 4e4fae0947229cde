"""Reductions over dimensions: sums and means add up, maxima pick one entry."""

from __future__ import annotations

import math

from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._rules import argument, data, name_of, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, exact
from gradscope.spectra._sweep import Sweep


@rule("sum", "mean")
def additive(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Each output adds r entries: √r, divided by r for a mean."""
    if not data(call):
        return SOURCE
    x: Tensor = argument(call, 0, "input")
    if x.is_complex() or x.numel() == 0:
        return None
    entries = x.numel() / call.output.numel()
    factor = 1 / entries if name_of(call) == "mean" else 1.0
    return exact(math.sqrt(entries) * factor, factor, x.numel())


@rule("max", "min", "median", "kthvalue", "topk", "sort", "mode", "cummax", "cummin")
def selection(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Values picked along a dimension; binary maxima are elementwise and cumulative ones repeat entries."""
    inputs = data(call)
    if not inputs:
        return SOURCE
    picks_once = name_of(call) not in ("cummax", "cummin") and not isinstance(argument(call, 1, "other"), Tensor)
    if not picks_once or isinstance(call.output, Tensor):
        return None
    values, x = call.output[0], inputs[0]
    return exact(float(values.numel() > 0), math.sqrt(values.numel() / x.numel()), x.numel())
