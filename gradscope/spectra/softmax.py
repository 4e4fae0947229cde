"""Softmax and its logarithm: one small Jacobian per row, of which only the likely largest are solved."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._rows import largest, updated_value
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, exact, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep


@rule("Softmax", "Softmin", "Softmax2d", "softmax", "softmin")
def softmax(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """Rows of J are diag(p) - p pᵀ, symmetric: max p(1 - p) ≤ σ ≤ min(max p, 2 max p(1 - p))."""
    if not data(call):
        return SOURCE
    p = _rows(call)
    if not are_finite([p]):
        return nonfinite()
    top, at = p.max(1, keepdim=True)
    others = p.scatter(1, at, 0.0)  # 1 - max p is taken from these: the difference would lose its digits
    rest = others.sum(1, keepdim=True)
    diagonal = (top * rest)[:, 0]

    def exact_rows(rows: Tensor) -> Tensor:
        row = others[rows].double()
        row = row.scatter(1, at[rows], 1 - row.sum(1, keepdim=True))
        return updated_value(row, row[:, :, None], -1)

    norm = largest(diagonal, torch.minimum(2 * diagonal, top[:, 0]), exact_rows, tolerance=sweep.tolerance / 10)
    squares = others.square()
    total = squares.sum(1)
    pairs = total.square() - squares.square().sum(1) + 2 * top[:, 0].square() * total  # Σ (pᵢpⱼ)², i ≠ j
    frobenius = (squares * (1 - others).square()).sum(1) + diagonal.square() + pairs  # ‖diag p - p pᵀ‖²
    return spectrum(norm, Estimate.exact(math.sqrt(frobenius.double().sum().item() / p.numel())), p.numel())


@rule("LogSoftmax", "log_softmax")
def log_softmax(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """Rows of J are I - 1 pᵀ: 1 off the plane of 1 and p, and there σ² solves a quadratic equation."""
    if not data(call):
        return SOURCE
    p = _rows(call).double().exp()
    if not are_finite([p]):
        return nonfinite()
    n, squares = p.shape[1], p.square().sum(1)
    trace = n * squares  # of JᵀJ in the plane of 1 and p, where JᵀJ also has the eigenvalue 0: J 1 = 0
    norm = max(1.0 if n > 2 else 0.0, math.sqrt(trace.max().item())) if n > 1 else 0.0
    return exact(norm, math.sqrt((trace + n - 2).sum().item() / p.numel()), p.numel())


def _rows(call: LayerCall) -> Tensor:
    """The output with the normalized dimension last, as (rows, n) in float32 or wider."""
    y: Tensor = call.output
    dim = getattr(call.module, "dim", None) if call.module is not None else argument(call, 1, "dim")
    if isinstance(call.module, nn.Softmax2d):
        dim = -3
    if dim is None:  # torch's legacy choice
        dim = 0 if y.ndim in (0, 1, 3) else 1
    y = y.reshape(1) if y.ndim == 0 else y
    return y.movedim(dim, -1).reshape(-1, y.shape[dim]).to(torch.promote_types(y.dtype, torch.float32))
