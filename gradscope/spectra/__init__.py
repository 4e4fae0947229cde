"""Jacobians as operators: the largest singular value of every layer at its real input, with bounds.

    sweep = Sweep(tolerance=1e-2, probability=1e-2, bounds=50)
    layer_spectrum(call, sweep).spectral_norm     # Estimate: value, low, high

One layer family is one file here, found by name; what no file knows goes the generic way.
"""

from __future__ import annotations

import torch

from gradscope.schema import LayerCall
from gradscope.spectra._counting import nonzeros
from gradscope.spectra._density import LogDensity, log_density
from gradscope.spectra._generic import analyse
from gradscope.spectra._layer_density import layer_density, operator_density, reported
from gradscope.spectra._operator import operator_norm, operator_spectrum
from gradscope.spectra._recognise import recognise
from gradscope.spectra._replay import full_precision, settled
from gradscope.spectra._rules import RULES, data, rule, rule_of
from gradscope.spectra._spectrum import LayerSpectrum, exact, gap
from gradscope.spectra._sweep import Sweep, tensors
from gradscope.spectra._together import solve_together
from gradscope.spectra.convolution import convolve

__all__ = [
    "RULES",
    "LayerSpectrum",
    "LogDensity",
    "Sweep",
    "convolve",
    "layer_density",
    "layer_spectrum",
    "log_density",
    "nonzeros",
    "operator_density",
    "operator_norm",
    "operator_spectrum",
    "reported",
    "rule",
    "solve_together",
]


def layer_spectrum(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """The singular values of one layer's Jacobian at the input it really got.

    Safe inside the model's forward pass: nothing is traced, no module is called through its hooks, no buffer,
    version or random state changes. It raises nothing: an analysis that fails is a gap with its reason.

    Args:
        call: the layer with its live tensors.
        sweep: the state of this pass over the model; one for all its calls.
    """
    with torch._C.DisableTorchFunction(), torch.no_grad(), full_precision():
        try:
            return _solve(settled(call), sweep)
        except Exception as error:  # the user's layer runs in here: whatever it raises is a result
            reason = (str(error).strip() or "no message").splitlines()[0]
            return gap(f"The analysis of {call.op} failed: {type(error).__name__}: {reason}")


def _solve(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    inputs, outputs = data(call), [t for t in tensors(call.output) if t.is_floating_point() or t.is_complex()]
    if inputs and outputs and any(not any(t.numel() for t in side) for side in (inputs, outputs)):
        return exact(0.0, 0.0, sum(t.numel() for t in inputs), "exact (no entries)")
    solve = rule_of(call)
    result = solve(call, sweep) if solve else recognise(call, sweep)
    return result if result is not None else analyse(call, sweep)
