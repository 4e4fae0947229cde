"""The density of the singular values of one chosen layer, or of any operator that can be applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradscope.schema import Density, LayerCall
from gradscope.spectra import _lanczos
from gradscope.spectra._density import LogDensity, dense_density, log_density
from gradscope.spectra._generic import linearized
from gradscope.spectra._linearize import NotAnalysedError
from gradscope.spectra._operator import Apply, Packed, Vector, parts
from gradscope.spectra._replay import full_precision, settled
from gradscope.spectra._rules import data
from gradscope.spectra._spectrum import are_defined, are_finite
from gradscope.spectra._stopping import fixed
from gradscope.spectra._sweep import Sweep, tensors


def layer_density(call: LayerCall, sweep: Sweep, *, probes: int = 4, steps: int = 24) -> Density:
    """The density of one layer's Jacobian at the input it really got; as safe as `layer_spectrum`.

    Args:
        call: the layer with its live tensors.
        sweep: the pass, whose generator draws the start vectors.
        probes: independent start vectors.
        steps: of every run; so many points has its quadrature.
    """
    with torch._C.DisableTorchFunction(), torch.no_grad(), full_precision():
        try:
            found = _solve(settled(call), sweep, probes, steps)
        except NotAnalysedError as error:
            return Density.unknown(f"no derivative of {call.op} was found: {error}")
        except Exception as error:  # the user's layer runs in here: whatever it raises is a result
            reason = (str(error).strip() or "no message").splitlines()[0]
            return Density.unknown(f"the analysis of {call.op} failed: {type(error).__name__}: {reason}")
    return found if isinstance(found, Density) else reported(found)


def reported(density: LogDensity | None) -> Density:
    """What `log_density` found, as it goes into a report."""
    return (
        density.record() if density is not None else Density.unknown("all its singular values are zero or not finite")
    )


def _solve(call: LayerCall, sweep: Sweep, probes: int, steps: int) -> LogDensity | Density | None:
    inputs = data(call)
    if not inputs or not any(t.is_floating_point() or t.is_complex() for t in tensors(_counting(call, call.output))):
        return Density.unknown("a source: nothing differentiable enters it")
    if not are_defined(inputs):
        return Density.unknown("its input is not finite")
    operator, point = linearized(call, inputs, sweep, lambda output: _counting(call, output))
    is_wide = operator.rows < operator.columns
    sides = (operator.rmatvec, operator.matvec) if is_wide else (operator.matvec, operator.rmatvec)
    side = min(operator.rows, operator.columns)
    return operator_density(
        *sides,  # pyright: ignore[reportArgumentType]
        lambda: sweep.start(side, like=point[0]),
        probes=probes,
        steps=steps,
    )


def operator_density(
    matvec: Apply, rmatvec: Apply, start: Callable[[], Vector], *, probes: int, steps: int
) -> LogDensity | None:
    """The density of any linear operator J; None where it is zero or not finite.

    Where J has fewer columns than there would be steps, all of JᵀJ is taken instead of random vectors.

    Args:
        matvec: v -> J v; both swapped, it may be Jᵀ where that side is smaller.
        rmatvec: u -> Jᵀ u.
        start: draws independent normal entries, in the shape of what `matvec` takes.
        probes: independent start vectors.
        steps: of every run.
    """
    first = start()
    packed = Packed(matvec, rmatvec, first, None)
    vector = packed.inputs.pack(parts(first))
    if len(vector) <= probes * steps:
        return dense_density(_singular_values(packed, vector))
    vectors = (vector, *(packed.inputs.pack(parts(start())) for _ in range(probes - 1)))
    goal = fixed(steps)
    return log_density([[_lanczos.solve(packed.matvec, packed.rmatvec, v, goal)[0]] for v in vectors])


def _singular_values(operator: Packed, like: Tensor) -> np.ndarray:
    """All of them, from JᵀJ: those below the floor of a density are lost in its rounding, and count alike there."""
    basis = torch.eye(len(like), dtype=like.dtype, device=like.device)
    gram = torch.stack([operator.rmatvec(operator.matvec(row)) for row in basis]).double().cpu()
    if not are_finite([gram]):
        return np.full(len(like), np.nan)
    return np.sqrt(np.clip(torch.linalg.eigvalsh((gram + gram.mT) / 2).numpy(), 0, None))


def _counting(call: LayerCall, output: Any) -> Any:
    """The part of an output that a layer's Jacobian is of: not the last states, which the sequence holds too."""
    return output[0] if isinstance(call.module, nn.RNNBase | nn.MultiheadAttention) else output
