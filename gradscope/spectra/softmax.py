"""Softmax and its logarithm: one small Jacobian per row, of which only the likely largest are solved."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._matrix import real
from gradscope.spectra._rows import largest
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, exact, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep

_SATURATED = 1e-9  # share of all other entries, below which their squares leave float32


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
    if rest.max() < _SATURATED:
        top, others, rest = top.double(), others.double(), rest.double()
    diagonal = (top * rest)[:, 0]
    norm = largest(
        diagonal,
        torch.minimum(2 * diagonal, top[:, 0]),
        lambda rows: _largest_value(others[rows].double(), rest[rows].double()),
        tolerance=sweep.tolerance / 10,
    )
    squares = others.square()
    total = squares.sum(1)
    pairs = total.square() - squares.square().sum(1) + 2 * top[:, 0].square() * total  # Σ (pᵢpⱼ)², i ≠ j
    frobenius = (squares * (1 - others).square()).sum(1) + diagonal.square() + pairs  # ‖diag p - p pᵀ‖²
    return spectrum(norm, Estimate.exact(math.sqrt(frobenius.double().sum().item() / p.numel())), p.numel())


def _largest_value(others: Tensor, rest: Tensor) -> Tensor:
    """Largest eigenvalue λ of diag(p) - p pᵀ for every row, to its last digits even where p is nearly one-hot.

    λ = 1 - Σ pᵢ²/(pᵢ - λ) with Σ pᵢ = 1 is Σ pᵢ/(pᵢ - λ) = 0, which subtracts nothing: λ balances the largest p
    above it with all others below.

    Args:
        others: p with a zero in place of its largest entry, (rows, n).
        rest: their sum, (rows, 1).
    """
    top = 1 - rest
    low = torch.maximum(top * rest, others.amax(1, keepdim=True).clamp_max(0.5))
    high = torch.maximum(torch.minimum(2 * top * rest, top), low)
    for _ in range(52):
        middle = (low + high) / 2
        pull = (others / (middle - others)).nan_to_num(0.0).sum(1, keepdim=True)  # no entry: 0 / 0
        is_below = pull * (top - middle) > top
        low, high = torch.where(is_below, middle, low), torch.where(is_below, high, middle)
    return high[:, 0]


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
    """The output with the normalized dimension last, as (rows, n) in float32 or wider; half precision is redone."""
    y: Tensor = call.output
    dim = getattr(call.module, "dim", None) if call.module is not None else argument(call, 1, "dim")
    if isinstance(call.module, nn.Softmax2d):
        dim = -3
    if dim is None:  # torch's legacy choice
        dim = 0 if y.ndim in (0, 1, 3) else 1
    if y.dtype in (torch.float16, torch.bfloat16):
        name, x = call.op.lower(), real(argument(call, 0, "input"))
        y = x.log_softmax(dim) if "log" in name else (-x if "min" in name else x).softmax(dim)
    y = y.reshape(1) if y.ndim == 0 else y
    return y.movedim(dim, -1).reshape(-1, y.shape[dim])
