"""Structure found in layers without a rule, proven on the spot: elementwise functions and row normalizations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gradscope.schema import LayerCall
from gradscope.spectra._matrix import real
from gradscope.spectra._replay import replay
from gradscope.spectra._rules import data
from gradscope.spectra._spectrum import LayerSpectrum, are_finite, nonfinite
from gradscope.spectra._sweep import Sweep
from gradscope.spectra.elementwise import diagonal_spectrum
from gradscope.spectra.normalization import normalized_rows

_SAME = 1e-4  # relative distance of two float32 outputs of one formula


def recognise(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """The spectrum of a layer that maps one tensor to one of equal shape, if it has a structure we know."""
    inputs = data(call)
    if len(inputs) != 1 or not isinstance(call.output, Tensor) or call.output.shape != inputs[0].shape:
        return None
    (x,) = inputs
    if x.is_complex() or call.output.is_complex() or not call.output.is_floating_point() or not x.numel():
        return None
    if not are_finite([x]):
        return nonfinite()
    return _normalization(call, real(x), sweep) or _diagonal(call, x, sweep)


def _diagonal(call: LayerCall, x: Tensor, sweep: Sweep) -> LayerSpectrum | None:
    """An elementwise function: Jᵀu = (Jᵀ1) u for a random u, so that J is its diagonal.

    For normal u, |Jᵀu - (Jᵀ1) u|² has the mean ‖J - diag‖²_F, which bounds what the diagonal leaves out.
    """
    with torch.enable_grad():
        leaf = real(x).clone().requires_grad_()
        output = replay(call, [x])(leaf)
    if not output.requires_grad:
        return None
    u = sweep.start(*output.shape, like=leaf)
    ones, image = (torch.autograd.grad(output, leaf, v, retain_graph=True)[0] for v in (torch.ones_like(u), u))
    left_out = torch.linalg.vector_norm(image - ones * u).item()
    if not left_out <= sweep.tolerance / 10 * ones.abs().max().item():
        return None
    return diagonal_spectrum([ones], [x.shape], sweep)


def _normalization(call: LayerCall, x: Tensor, sweep: Sweep) -> LayerSpectrum | None:
    """A hand-written layer or RMS norm of the last dimension: its output is the formula's."""
    if call.module is None or x.ndim < 1:
        return None
    n, parameters = x.shape[-1], dict(call.module.named_parameters(recurse=False))
    if any(p.shape != (n,) for p in parameters.values()) or len(parameters) > 2:
        return None
    weight, bias = parameters.get("weight"), parameters.get("bias")
    eps = next(
        (e for e in map(vars(call.module).get, ("variance_epsilon", "eps", "epsilon")) if isinstance(e, float)), None
    )
    if eps is None or x.numel() // n == 0:
        return None
    rows, output = x.reshape(-1, n), real(call.output).reshape(-1, n)
    for is_centered in (False, True):
        gains = [None] if weight is None else [real(weight), 1 + real(weight)]
        for gain in gains:
            if _is_same(output, _normalized(rows, gain, bias, eps, is_centered=is_centered)):
                weights = None if gain is None else gain[None]
                return normalized_rows(rows, weights, eps, sweep, is_centered=is_centered)
    return None


def _normalized(
    rows: Tensor, weight: Tensor | None, bias: nn.Parameter | None, eps: float, *, is_centered: bool
) -> Tensor:
    rows = rows - rows.mean(1, keepdim=True) if is_centered else rows
    output = rows * torch.rsqrt(rows.square().mean(1, keepdim=True) + eps)
    output = output if weight is None else output * weight
    return output if bias is None else output + real(bias)


def _is_same(a: Tensor, b: Tensor) -> bool:
    return torch.linalg.vector_norm(a - b).item() <= _SAME * torch.linalg.vector_norm(b).item()
