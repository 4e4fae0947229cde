"""The standard Gaussian on a grid: quadrature points and weights, and Hermite polynomials."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from gradscope.predict._axes import Array

HALF_WIDTH = 8.0  # standard deviations covered by the grid
POINTS = 1000  # even: no point at zero, where activations have their kinks
TERMS = 64


@lru_cache(1)
def grid() -> tuple[Array, Array]:
    """Quadrature points z and weights of the standard Gaussian: two (points,)."""
    z = np.linspace(-HALF_WIDTH, HALF_WIDTH, POINTS)
    weights = np.exp(-z * z / 2)
    return z, weights / weights.sum()


@lru_cache(1)
def weighted_hermite() -> Array:
    """Orthonormal Hermite polynomials times the quadrature weights: (terms, points)."""
    z, weights = grid()
    h = np.ones((TERMS, POINTS))
    h[1] = z
    for n in range(2, TERMS):
        h[n] = (z * h[n - 1] - math.sqrt(n - 1) * h[n - 2]) / math.sqrt(n)
    return h * weights
