"""Dense layers: the Jacobian repeats the weight matrix for every row of the input, so its norm is the weight's."""

from __future__ import annotations

import math

from torch import Tensor

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._matrix import matrix_norm
from gradscope.spectra._rules import argument, is_alone, is_constant, rule
from gradscope.spectra._spectrum import LayerSpectrum, spectrum
from gradscope.spectra._sweep import Sweep


@rule("Linear", "NonDynamicallyQuantizableLinear", "linear")
def linear(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """J = I ⊗ W for y = x Wᵀ + b."""
    x, weight = argument(call, 0, "input"), _weight(call)
    if weight.is_complex() or is_constant(call, x) or not is_alone(call, x):
        return None
    return repeated_matrix(weight, x.numel(), weight.shape[-1], sweep)


@rule("Conv1D")
def transposed_linear(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """Hugging Face's Conv1D: y = x W + b with W of shape (inputs, outputs)."""
    weight: Tensor = call.module.weight  # type: ignore[union-attr]
    return repeated_matrix(weight.mT, call.args[0].numel(), weight.shape[0], sweep)


def repeated_matrix(weight: Tensor, columns: int, fan_in: int, sweep: Sweep) -> LayerSpectrum:
    """The spectrum of I ⊗ W, where W has shape (outputs, fan_in) and the input has `columns` entries."""
    norm, squared = sweep.solved(weight, "matrix", lambda: matrix_norm(weight, sweep))
    gain = Estimate.exact(math.sqrt(squared / fan_in))
    return spectrum(norm, gain, columns)


def _weight(call: LayerCall) -> Tensor:
    return argument(call, 1, "weight") if call.module is None else call.module.weight  # type: ignore[return-value]
