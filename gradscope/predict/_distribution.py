"""How one parameter or buffer was drawn: its family, and quantiles that every later in-place change is applied to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

QUANTILES = 2048
CHANCE = 3.0  # standard errors that a mean may lie from zero and count as zero


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of the entries of one tensor.

    Attributes:
        family: "normal", "uniform", "truncated-normal", "orthogonal", "constant", "sparse", "dirac", "identity",
            "mixture", "derived", or "drawn" for the entries of a real tensor.
        quantiles: entries at equally spaced probabilities (float64), in any order.
        value: the tensor itself, where it was computed from constants.
        is_scaled: whether it was multiplied after it had been drawn.
        is_copied: whether it was copied from another tensor.
    """

    family: str
    quantiles: Tensor
    value: Tensor | None = None
    is_scaled: bool = False
    is_copied: bool = False

    @property
    def mean(self) -> float:
        return float(self.quantiles.mean())

    @property
    def second_moment(self) -> float:
        return float(self.quantiles.square().mean())

    @property
    def std(self) -> float:
        return math.sqrt(max(0.0, self.second_moment - self.mean**2))

    @property
    def is_zero(self) -> bool:
        return self.second_moment == 0.0


@lru_cache(1)
def probabilities() -> Tensor:
    """Midpoints of equally likely intervals."""
    return (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES


@lru_cache(1)
def _standard_normal() -> Tensor:
    z = torch.special.ndtri(probabilities())
    return z / z.square().mean().sqrt()


def normal(mean: float = 0.0, std: float = 1.0, *, family: str = "normal") -> Distribution:
    """Gaussian entries; an orthogonal matrix has the same moments and another `family`."""
    return Distribution(family, _standard_normal() * std + mean)


def uniform(low: float = 0.0, high: float = 1.0) -> Distribution:
    """Uniform entries; the quantiles are stretched so that their variance is exact."""
    centred = (probabilities() - 0.5) / math.sqrt(1 - 1 / QUANTILES**2)
    return Distribution("uniform", centred * (high - low) + (low + high) / 2)


def truncated_normal(mean: float, std: float, low: float, high: float) -> Distribution:
    """A Gaussian conditioned on [low, high]; 2 standard deviations on both sides shrink it to 0.8796 std."""
    if std == 0:
        return constant(min(max(mean, low), high))
    ends = torch.tensor([(low - mean) / std, (high - mean) / std], dtype=torch.float64)
    below, above = torch.special.ndtr(ends)
    return Distribution("truncated-normal", torch.special.ndtri(below + (above - below) * probabilities()) * std + mean)


def constant(value: float) -> Distribution:
    """All entries equal."""
    return Distribution("constant", torch.full((QUANTILES,), float(value), dtype=torch.float64))


def share_of_ones(share: float, *, family: str, scale: float = 1.0) -> Distribution:
    """Mostly zeros: a `share` of the entries is `scale`, so that mean and second moment are exact."""
    quantiles = torch.zeros(QUANTILES, dtype=torch.float64)
    count = max(1, round(share * QUANTILES))
    quantiles[:count] = scale * math.sqrt(share * QUANTILES / count)
    return Distribution(family, quantiles)


def thinned(distribution: Distribution, zeros: float) -> Distribution:
    """A share `zeros` of the entries set to zero."""
    sparse = mixed(distribution, constant(0.0), zeros)
    return Distribution("sparse", sparse.quantiles)


def of_value(value: Tensor) -> Distribution:
    """A tensor that is known."""
    flat = value.detach().double().flatten()
    if flat.numel() == 0:
        quantiles = torch.zeros(QUANTILES, dtype=torch.float64)
    elif flat.numel() <= QUANTILES:
        quantiles = flat.repeat(math.ceil(QUANTILES / flat.numel()))[:QUANTILES]
    else:
        quantiles = flat[torch.linspace(0, flat.numel() - 1, QUANTILES, dtype=torch.float64).long()]
    return Distribution("constant", quantiles, value)


def of_sample(values: Tensor) -> Distribution:
    """Entries that were drawn once: their quantiles, with the mean and the standard deviation of all of them.

    A mean that so many centred entries have by chance counts as zero.
    """
    flat = values.detach().flatten().double()
    if flat.numel() == 0:
        return constant(0.0)
    mean, std = float(flat.mean()), float(flat.std(correction=0))
    if std == 0:
        return constant(mean)
    if abs(mean) < CHANCE * std / math.sqrt(flat.numel()):
        mean, std = 0.0, math.hypot(mean, std)
    quantiles = of_value(values).quantiles
    spread = float(quantiles.std(correction=0)) or 1.0
    return Distribution("drawn", (quantiles - quantiles.mean()) * (std / spread) + mean)


def mixed(old: Distribution, new: Distribution, share: float) -> Distribution:
    """A part of the tensor, `share` of its entries, drawn anew; the larger part names the family."""
    count = round(share * QUANTILES)
    if count == 0:
        return old
    spread = ((torch.arange(count) + 0.5) * (QUANTILES / count)).long()
    quantiles = old.quantiles.sort().values
    quantiles[spread] = new.quantiles.sort().values[spread]
    return Distribution(old.family if share < 0.5 else new.family, shuffled(quantiles))


def mapped(function: Callable[..., Tensor], inputs: list[Distribution], *, is_scaling: bool) -> Distribution:
    """An elementwise function of independent tensors."""
    quantiles = function(*(d.quantiles.clone() if i == 0 else shuffled(d.quantiles) for i, d in enumerate(inputs)))
    if is_scaling:
        return replace(inputs[0], quantiles=quantiles.double(), value=None, is_scaled=True)
    return Distribution("derived", quantiles.double())


def shuffled(quantiles: Tensor) -> Tensor:
    """The same entries in a fixed random order."""
    return quantiles[torch.randperm(QUANTILES, generator=torch.Generator().manual_seed(0))].clone()
