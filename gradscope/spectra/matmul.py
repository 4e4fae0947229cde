"""Products of matrices that both carry signal, such as the scores and the mixing of a hand-written attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._batched import largest_estimate
from gradscope.spectra._matrix import each_norm, matrix_norm, real
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep


@rule("matmul", "mm", "bmm", "mv", "dot", "inner", "rmatmul")
def product(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """C = A B, jointly in those operands that carry signal."""
    a, b = argument(call, 0, "input"), call.args[1] if len(call.args) > 1 else next(iter(call.kwargs.values()))
    if not data(call, sweep):
        return SOURCE
    if call.op.strip("_") == "rmatmul":
        a, b = b, a
    return product_spectrum(a, b, sweep)


def product_spectrum(a: Tensor, b: Tensor, sweep: Sweep) -> LayerSpectrum | None:
    """The spectrum of A B for A (..., m, k) and B (..., k, n), or vectors in their place.

    J = [Bᵀ ⊗ I, I ⊗ A], so J Jᵀ is the Kronecker sum of BᵀB and A Aᵀ, and σ² = σ(A)² [if B varies] + σ(B)² [if A
    varies], at its largest over the batch. None where a varying operand is repeated along the batch, which couples
    it, or where both are the same tensor.
    """
    a_varies, b_varies = not sweep.is_constant(a), not sweep.is_constant(b)
    if a is b or a.is_complex() or b.is_complex():
        return None
    left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    batch = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    is_repeated = (a_varies and left.shape[:-2] != batch) or (b_varies and right.shape[:-2] != batch)
    if is_repeated:
        return None
    if not are_finite([a, b]):
        return nonfinite()
    columns = a.numel() * a_varies + b.numel() * b_varies
    if not (a_varies and b_varies):
        norm, squared = sweep.solved(
            right if a_varies else left, "product", lambda: matrix_norm(right if a_varies else left, sweep)
        )
        fixed = right if a_varies else left
        copies = (left.shape[-2] if a_varies else right.shape[-1]) * math.prod(batch) / math.prod(fixed.shape[:-2])
        return spectrum(norm, Estimate.exact(math.sqrt(squared * copies / columns)), columns)
    of_a, of_b = each_norm(left, sweep), each_norm(right, sweep)
    norm = largest_estimate([_hypotenuse(x, y) for x, y in zip(of_a, of_b, strict=True)])
    squared = left.shape[-2] * _squared(right) + right.shape[-1] * _squared(left)
    return spectrum(norm, Estimate.exact(math.sqrt(squared / columns), "exact (jointly in 2 inputs)"), columns)


def _hypotenuse(a: Estimate, b: Estimate) -> Estimate:
    value, low, high = math.hypot(a.value, b.value), math.hypot(a.low, b.low), math.hypot(a.high, b.high)
    status = b.status if a.is_known else a.status
    method = a.method if a.method == b.method else "lanczos"
    return Estimate(value, low, high, f"{method} (jointly in 2 inputs)", max(a.n, b.n), status)


def _squared(tensor: Tensor) -> float:
    return torch.linalg.vector_norm(real(tensor), dtype=torch.float64).item() ** 2
