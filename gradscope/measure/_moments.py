"""Mean, variance and extremes of a tensor, computed on its device in few passes."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.schema import Estimate, Moments

_METHOD = "measured"


def moments_of(tensor: Tensor) -> Tensor:
    """(mean, variance, largest magnitude, zero share, non-finite share) of all elements, any shape -> (5,).

    The variance is the biased one, over all elements. Non-finite elements are left out of the other numbers.
    """
    x = tensor.flatten()
    low, high = x.aminmax()
    nonfinite = x.new_zeros(())
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        is_finite = x.isfinite()
        nonfinite = 1 - is_finite.to(x.dtype).mean()
        x = x[is_finite]
        if x.numel() == 0:
            return torch.stack([x.new_tensor(v) for v in (torch.nan, torch.nan, torch.inf, 0.0, 1.0)])
        low, high = x.aminmax()
    variance, mean = torch.var_mean(x, correction=0)
    largest = torch.maximum(high.abs(), low.abs())
    zeros = 1 - x.count_nonzero().to(x.dtype) / x.numel()
    return torch.stack([mean, variance, largest, zeros, nonfinite])


def as_moments(values: list[float], n: int) -> Moments:
    """The record of what `moments_of` computed over `n` elements."""
    mean, variance, largest, zeros, nonfinite = values
    estimate = Estimate.exact
    return Moments(
        mean=estimate(mean, _METHOD, n),
        variance=estimate(variance, _METHOD, n),
        second_moment=estimate(variance + mean * mean, _METHOD, n),
        absolute_maximum=estimate(largest if nonfinite == 0 else float("inf"), _METHOD, n),
        zero_fraction=estimate(zeros, _METHOD, n),
        nonfinite_fraction=estimate(nonfinite, _METHOD, n),
    )
