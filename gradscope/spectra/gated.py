"""Gated linear units: both halves of one input meet in a product."""

from __future__ import annotations

import torch

from gradscope.schema import LayerCall
from gradscope.spectra._matrix import real
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, exact, nonfinite
from gradscope.spectra._sweep import Sweep


@rule("GLU", "glu")
def glu(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """y = a s(b) with the sigmoid s: every output reads two inputs of its own, σ² = max s² + (a s')²."""
    if not data(call):
        return SOURCE
    x = real(argument(call, 0, "input"))
    if not are_finite([x]):
        return nonfinite()
    dim = call.module.dim if call.module is not None else argument(call, 1, "dim", -1)
    a, b = x.chunk(2, dim)  # type: ignore[arg-type]
    gate = torch.sigmoid(b)
    squares = gate.square() + (a * gate * (1 - gate)).square()
    return exact(squares.max().sqrt().item(), (squares.sum() / x.numel()).sqrt().item(), x.numel())
