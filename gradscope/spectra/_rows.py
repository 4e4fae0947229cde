"""The largest of many numbers that have cheap bounds and dear exact values: refine only those that may win."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gradscope.schema import Estimate


def largest(low: Tensor, high: Tensor, refine: Callable[[Tensor], Tensor], *, tolerance: float) -> Estimate:
    """The maximum over rows, where row i lies in [low[i], high[i]].

    Args:
        low: lower bounds, (rows,).
        high: upper bounds, (rows,).
        refine: indices -> the exact values of these rows.
        tolerance: relative error allowed in the maximum.
    """
    best, ceiling = low.max().item(), high.max().item()
    if not math.isfinite(ceiling):
        return Estimate.unknown("exact", "nonfinite")
    order = torch.argsort(high, descending=True)
    done, size = 0, 64
    while done < len(order) and (ceiling := high[order[done]].item()) > best * (1 + tolerance):
        rows = order[done : done + size]
        best = max(best, refine(rows).max().item())
        done, size = done + size, 8 * size
    ceiling = max(best, high[order[done]].item() if done < len(order) else best)
    return Estimate(best, best, ceiling, "exact" if ceiling == best else "bracket", len(order))


def updated_value(diagonal: Tensor, update: Tensor, sign: int) -> Tensor:
    """Largest eigenvalue of D + sign · Z Zᵀ for every row: D = diag(d), Z of low rank.

    By bisection on the number of eigenvalues above λ, which inertia gives from the r x r matrix
    M = I + sign · Zᵀ(D - λ)⁻¹Z: #(d > λ) + r - #positive(M) for sign 1, #(d > λ) - #negative(M) for sign -1
    (Haynsworth, "Determination of the inertia of a partitioned Hermitian matrix", 1968).

    Args:
        diagonal: d, (rows, n).
        update: Z, (rows, n, r).
        sign: 1 or -1.
    """
    d, z = diagonal.double(), update.double()
    rank = z.shape[2]
    identity = torch.eye(rank, dtype=z.dtype, device=z.device)
    low, high = d.amin(1), d.amax(1)
    if sign > 0:
        high = high + z.square().sum((1, 2))
    else:
        low = low - z.square().sum((1, 2))
    for _ in range(60):
        middle = (low + high) / 2
        distance = d - middle[:, None]
        distance = torch.where(distance == 0, 1e-300, distance)
        inner = identity + sign * torch.einsum("rni,rn,rnj->rij", z, 1 / distance, z)
        values = torch.linalg.eigvalsh(inner)
        fewer = rank - (values > 0).sum(1) if sign > 0 else -(values < 0).sum(1)
        is_below = (distance > 0).sum(1) + fewer >= 1
        low, high = torch.where(is_below, middle, low), torch.where(is_below, high, middle)
    return (low + high) / 2
