"""What an elementwise function does to the scale of a signal, by quadrature of the function itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 12.0  # standard deviations; the normal density beyond weighs less than float64 can tell
CELLS = 48_000  # of which kinks at integers are borders, so that each cell has one slope
PROBES = 33


@dataclass(frozen=True, slots=True)
class Scaling:
    """Second moments of a function phi and of its slope under z ~ N(0, 1).

    Attributes:
        gain: 1 / sqrt(E[phi(z)^2]): weights this much larger keep the second moment of the activations (He et
            al. 2015, arXiv 1502.01852, for any phi).
        chi: E[phi'(z)^2] / E[phi(z)^2]: what those weights multiply the mean squared gradient with, a layer
            (Schoenholz et al. 2017, arXiv 1611.01232).
    """

    gain: float
    chi: float


def scaling(function: Callable[[Tensor], Tensor]) -> Scaling:
    """Gain and chi of an elementwise function, by the midpoint rule."""
    middles = (torch.arange(CELLS, dtype=torch.float64) + 0.5) * (2 * REACH / CELLS) - REACH
    z = middles.requires_grad_()
    density = torch.exp(-0.5 * z.detach() ** 2)
    density /= density.sum()
    with torch.enable_grad():
        value = function(z.clone())  # a clone, for functions that work in place
        slope = torch.autograd.grad(value.sum(), z)[0] if value.requires_grad else torch.zeros_like(z)
    second_moment = float(density @ value.detach() ** 2)
    if not second_moment or not math.isfinite(second_moment):
        return Scaling(math.nan, math.nan)
    return Scaling(second_moment**-0.5, float(density @ slope**2) / second_moment)


def is_elementwise(function: Callable[[Tensor], Tensor]) -> bool:
    """Whether each output depends on the input at its own place alone, told by what the function returns."""
    z = torch.linspace(-3.0, 3.0, PROBES, dtype=torch.float64)
    value = function(z.clone())
    if not isinstance(value, Tensor) or value.shape != z.shape or not value.is_floating_point():
        return False
    half = PROBES // 2
    return torch.equal(function(z.flip(0)), value.flip(0)) and torch.equal(function(z[:half].clone()), value[:half])


def is_affine(function: Callable[[Tensor], Tensor]) -> bool:
    """Whether an elementwise function is a z + b."""
    z = torch.linspace(-3.0, 3.0, PROBES, dtype=torch.float64)
    steps = function(z).detach().diff()
    return bool((steps - steps[0]).abs().max() <= 1e-9 * steps.abs().max())
