"""Products of matrices that both carry signal, such as the scores and the mixing of a hand-written attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gradscope.schema import Estimate, LayerCall, Status
from gradscope.spectra._batched import largest_estimate
from gradscope.spectra._matrix import each_norm, matrix_norm, squared_norm
from gradscope.spectra._rules import argument, data, is_constant, name_of, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep


@rule("matmul", "mm", "bmm", "mv", "dot", "inner", "rmatmul")
def product(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """C = A B, jointly in those operands that carry signal."""
    a, b = argument(call, 0, "input"), call.args[1] if len(call.args) > 1 else next(iter(call.kwargs.values()))
    if not data(call):
        return SOURCE
    if name_of(call) == "rmatmul":
        a, b = b, a
    if name_of(call) == "inner" and b.ndim > 1:
        return None
    return product_spectrum(a, b, not is_constant(call, a), not is_constant(call, b), sweep)


@rule("addmm", "baddbmm", "addmv")
def shifted_product(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """C = β D + α A B; a D that varies in full shape adds β² to σ²."""
    if not data(call):
        return SOURCE
    shift = argument(call, 0, "input")
    a, b = argument(call, 1, "mat1", call.kwargs.get("batch1")), argument(call, 2, "mat2", call.kwargs.get("batch2"))
    has_shift = not is_constant(call, shift)
    if a is None or b is None or (has_shift and (shift.shape != call.output.shape or shift is a or shift is b)):
        return None
    return product_spectrum(
        a,
        b,
        not is_constant(call, a),
        not is_constant(call, b),
        sweep,
        scale=float(call.kwargs.get("alpha", 1)),
        shift=float(call.kwargs.get("beta", 1)) if has_shift else None,
    )


def product_spectrum(
    a: Tensor,
    b: Tensor,
    a_varies: bool,
    b_varies: bool,
    sweep: Sweep,
    *,
    scale: float = 1.0,
    shift: float | None = None,
) -> LayerSpectrum | None:
    """The spectrum of α A B + β D for A (..., m, k) and B (..., k, n), or vectors in their place.

    J = [Bᵀ ⊗ I, I ⊗ A], so J Jᵀ is the Kronecker sum of BᵀB and A Aᵀ, and σ² = σ(A)² [if B varies] + σ(B)² [if A
    varies], at its largest over the batch. None where a varying operand is repeated along the batch, which couples
    it, or where both are the same tensor.
    """
    if a is b or a.is_complex() or b.is_complex():
        return None
    left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    batch = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    if (a_varies and left.shape[:-2] != batch) or (b_varies and right.shape[:-2] != batch):
        return None
    if not are_finite([a, b]):
        return nonfinite()
    rows, squared, norms = left.shape[-2] * right.shape[-1] * math.prod(batch), 0.0, []
    columns = a.numel() * a_varies + b.numel() * b_varies + rows * (shift is not None)
    both = a_varies and b_varies
    for factor, varies, others in ((right, a_varies, left.shape[-2]), (left, b_varies, right.shape[-1])):
        if varies:
            found, square = _factor(factor, both, sweep)
            norms.append(found)
            squared += square * others * math.prod(batch) / math.prod(factor.shape[:-2])
    method = "exact" if both + a_varies + b_varies + (shift is not None) < 2 else "exact (jointly in its inputs)"
    pairs = zip(*norms, strict=True) if both else ((n,) for n in norms[0])
    constant = 0.0 if shift is None else shift**2
    norm = largest_estimate([_combined(pair, scale, constant, method) for pair in pairs])
    gain = math.sqrt((scale**2 * squared + constant * rows) / columns)
    return spectrum(norm, Estimate.exact(gain, method), columns)


def _factor(factor: Tensor, is_each_wanted: bool, sweep: Sweep) -> tuple[list[Estimate], float]:
    """Spectral norms (of every matrix, or the largest) and the squared Frobenius norm of one factor."""
    if is_each_wanted:
        return each_norm(factor, sweep), squared_norm(factor)
    norm, squared = sweep.solved(factor, "product", lambda: matrix_norm(factor, sweep))
    return [norm], squared


def _combined(norms: tuple[Estimate, ...], scale: float, constant: float, method: str) -> Estimate:
    """√(scale² Σ σ² + constant) of one or two factors."""
    value, low, high = (
        math.sqrt(scale**2 * sum(x * x for x in ends) + constant)
        for ends in ([n.value for n in norms], [n.low for n in norms], [n.high for n in norms])
    )
    unknown: list[Status] = [n.status for n in norms if not n.is_known]
    inner = next((n.method for n in norms if n.method != "exact"), "exact")
    status: Status = unknown[0] if unknown else "ok"
    return Estimate(value, low, high, method.replace("exact", inner), max(n.n for n in norms), status)
