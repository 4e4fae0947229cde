"""Mean, variance and extremes of a tensor, computed on its device in few passes and few calls."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gradscope.schema import Estimate, Moments
from gradscope.spectra import nonzeros

_METHOD = "measured"
_SMALL = 1 << 16  # elements up to which calls cost more than arithmetic
_ROW = 4096  # elements: short enough for sums in float32, long enough to run at memory speed
_CANCELLED = 1e-3  # of the second moment: below, the difference of moments has lost too many digits
_SUBNORMAL = 1e-30  # a sum of float32 squares below this has lost terms to underflow


def moments_of(tensor: Tensor) -> tuple[float, ...]:
    """(mean, second moment, variance, largest magnitude, zero share, non-finite share) of a real tensor of any shape.

    Over all elements; the variance is the biased one. Non-finite elements are left out of the other numbers.
    Small tensors are summed in float64. The sums of large ones run in rows of the tensor's dtype and over the rows in
    float64: as exact as a float64 sum, at the speed of memory. The variance is taken about the mean where the
    difference of moments would cancel.
    """
    x = tensor.flatten()
    low, high = _extremes(x)
    nonfinite = 0.0
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = x[x.isfinite()]
        nonfinite = 1 - finite.numel() / x.numel()
        if finite.numel() == 0:
            return (math.nan, math.nan, math.nan, math.inf, 0.0, 1.0)
        x = finite
        low, high = _extremes(x)
    n = x.numel()
    total, squares, filled = torch.stack(_small_sums(x) if n <= _SMALL else _large_sums(x)).tolist()
    mean, second = total / n, squares / n
    variance = second - mean * mean
    if variance < _CANCELLED * second:
        variance = squared_norm(x.double() - mean if n <= _SMALL else x - mean).item() / n
    return mean, second, variance, max(abs(low), abs(high)), 1 - filled / n, nonfinite


def _extremes(x: Tensor) -> tuple[float, float]:
    low, high = torch.stack(x.aminmax()).tolist()  # NaN is the extreme of whatever holds it
    return low, high


def _small_sums(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    y = x.double()
    return y.sum(), torch.dot(y, y), nonzeros(x)


def _large_sums(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.stack([rows.sum(1).double().sum() for rows in _rows(x)]).sum(), squared_norm(x), nonzeros(x)


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


def as_moments(values: Sequence[float], n: int) -> Moments:
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
