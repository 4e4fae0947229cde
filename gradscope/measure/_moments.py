"""Mean, variance and extremes of a tensor, computed on its device in few passes."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.schema import Estimate, Moments
from gradscope.spectra import nonzeros

_METHOD = "measured"
_ROW = 4096  # elements: short enough for sums in float32, long enough to run at memory speed
_CANCELLED = 1e-3  # of the second moment: below, the difference of moments has lost too many digits
_SUBNORMAL = 1e-30  # a sum of float32 squares below this has lost terms to underflow


def moments_of(tensor: Tensor) -> Tensor:
    """(mean, second moment, variance, largest magnitude, zero share, non-finite share), any shape -> (6,).

    Over all elements; the variance is the biased one. Non-finite elements are left out of the other numbers.
    Sums run in rows of the tensor's dtype and over the rows in float64: as exact as a float64 sum, at the
    speed of memory. The variance is taken about the mean where the difference of moments would cancel.
    """
    x = tensor.flatten()
    low, high = x.aminmax()
    nonfinite = x.new_zeros((), dtype=torch.float64)
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        is_finite = x.isfinite()
        nonfinite = 1 - is_finite.double().mean()
        x = x[is_finite]
        if x.numel() == 0:
            return torch.tensor([torch.nan] * 3 + [torch.inf, 0.0, 1.0], dtype=torch.float64, device=x.device)
        low, high = x.aminmax()
    n = x.numel()
    mean = torch.stack([rows.sum(1).double().sum() for rows in _rows(x)]).sum() / n
    second = squared_norm(x) / n
    variance = second - mean * mean
    if bool(variance < _CANCELLED * second):
        variance = squared_norm(x - mean.to(x.dtype)) / n
    zeros = 1 - nonzeros(x) / n
    largest = torch.maximum(high.abs(), low.abs()).double()
    return torch.stack([mean, second, variance, largest, zeros, nonfinite])


def squared_norm(x: Tensor) -> Tensor:
    """Sum of squares in float64; of values too large or too small to be squared in their own dtype as well."""
    total = torch.stack([torch.linalg.vector_norm(rows, dim=1).double().square().sum() for rows in _rows(x)]).sum()
    if not bool(torch.isfinite(total)) or bool(total < _SUBNORMAL):
        total = torch.linalg.vector_norm(x, dtype=torch.float64).square()
    return total


def _rows(x: Tensor) -> list[Tensor]:
    """A vector as rows of moderate length, and its rest as a last row."""
    whole = x.numel() // _ROW * _ROW
    return [rows for rows in (x[:whole].view(-1, _ROW), x[whole:].view(1, -1)) if rows.numel()]


def as_moments(values: list[float], n: int) -> Moments:
    """The record of what `moments_of` computed over `n` elements."""
    mean, second, variance, largest, zeros, nonfinite = values
    estimate = Estimate.exact
    return Moments(
        mean=estimate(mean, _METHOD, n),
        variance=estimate(variance, _METHOD, n),
        second_moment=estimate(second, _METHOD, n),
        absolute_maximum=estimate(largest if nonfinite == 0 else float("inf"), _METHOD, n),
        zero_fraction=estimate(zeros, _METHOD, n),
        nonfinite_fraction=estimate(nonfinite, _METHOD, n),
    )
