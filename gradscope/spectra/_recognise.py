"""Structure found in layers without a rule, proven on the spot: elementwise functions and row normalizations."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._matrix import real
from gradscope.spectra._replay import is_repeated, replay
from gradscope.spectra._rules import data
from gradscope.spectra._spectrum import LayerSpectrum, are_defined, drawn_anew, nonfinite
from gradscope.spectra._sweep import Sweep
from gradscope.spectra.elementwise import diagonal_spectrum
from gradscope.spectra.normalization import normalized_rows

_SAME = 1e-5  # relative distance of what two formulas of one function give in float32


def recognise(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """The spectrum of a layer that maps one tensor to one of equal shape, if it has a structure we know.

    One backward pass of a random u tells: a Jacobian of that structure has the same Jᵀu, any other another one.
    """
    inputs = data(call)
    if len(inputs) != 1 or not isinstance(call.output, Tensor) or call.output.shape != inputs[0].shape:
        return None
    (x,) = inputs
    if x.is_complex() or call.output.is_complex() or not call.output.is_floating_point() or not x.numel():
        return None
    if not are_defined([x]):
        return nonfinite()
    with torch.enable_grad():
        leaf = real(x).clone().requires_grad_()
        output = replay(call, [x])(leaf)
    if not output.requires_grad:
        return None
    u = sweep.start(*output.shape, like=output)
    (image,) = torch.autograd.grad(output, leaf, u, retain_graph=True)
    found = _normalization(call, real(x), u, image, sweep)
    if found is None:
        (diagonal,) = torch.autograd.grad(output, leaf, torch.ones_like(u))
        found = _diagonal(diagonal, u, image, sweep)
    return found if found is None or is_repeated(call, output) else drawn_anew(found)


def _diagonal(diagonal: Tensor, u: Tensor, image: Tensor, sweep: Sweep) -> LayerSpectrum | None:
    """An elementwise function: Jᵀu = (Jᵀ1) u for a random u, so that J is its diagonal.

    For normal u, |Jᵀu - (Jᵀ1) u|² has the mean ‖J - diag‖²_F, which bounds what the diagonal leaves out.
    """
    left_out = torch.linalg.vector_norm(image - diagonal * u).item()
    is_small = left_out <= sweep.tolerance / 10 * diagonal.abs().max().item()
    if not is_small or left_out > _SAME * torch.linalg.vector_norm(image).item():
        return None
    return diagonal_spectrum([diagonal], [diagonal.shape], sweep)


def _normalization(call: LayerCall, x: Tensor, u: Tensor, image: Tensor, sweep: Sweep) -> LayerSpectrum | None:
    """A hand-written layer or RMS norm of the last dimension: its Jᵀu is the formula's."""
    if call.module is None or x.ndim < 1:
        return None
    n, parameters = x.shape[-1], dict(call.module.named_parameters(recurse=False))
    if any(p.shape != (n,) for p in parameters.values()) or len(parameters) > 2:
        return None
    weight = parameters.get("weight")
    eps = next(
        (e for e in map(vars(call.module).get, ("variance_epsilon", "eps", "epsilon")) if isinstance(e, float)), None
    )
    if eps is None:
        return None
    rows, image = x.reshape(-1, n), image.reshape(-1, n)
    gains = [None] if weight is None else [real(weight), 1 + real(weight)]
    for is_centered in (False, True):
        for gain in gains:
            weighted = u.reshape(-1, n) if gain is None else u.reshape(-1, n) * gain
            if _is_same(image, _normalized_back(rows, weighted, eps, is_centered=is_centered)):
                weights = None if gain is None else gain[None]
                return normalized_rows(rows, weights, eps, sweep, is_centered=is_centered)
    return None


def _normalized_back(rows: Tensor, u: Tensor, eps: float, *, is_centered: bool) -> Tensor:
    """Jᵀu of the normalization of every row."""
    if is_centered:
        rows, u = rows - rows.mean(1, keepdim=True), u - u.mean(1, keepdim=True)
    variance = rows.square().mean(1, keepdim=True) + eps
    return (u - rows * ((rows * u).mean(1, keepdim=True) / variance)) * variance.rsqrt()


def _is_same(a: Tensor, b: Tensor) -> bool:
    return torch.linalg.vector_norm(a - b).item() <= _SAME * torch.linalg.vector_norm(b).item()
