"""Shapes of marginal distributions that are not Gaussian: a sum with a rectified branch, a maximum over a window.

A shape is the standardized quantile function Q on the grid: x = m + s Q(z) with z standard Gaussian. Pairs are joined
by a Gaussian copula whose correlation r is set so that E x x' keeps its value: rho = sum_k q_k^2 r^k with the Hermite
coefficients q_k of Q.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from gradscope.predict._axes import Array
from gradscope.predict._grid import grid
from gradscope.predict._table import Table

ATOMS = 512  # equally likely values that stand for one distribution
STRAIGHT = 1e-3  # a shape this close to a line (mean squared distance) is Gaussian


def sum_shape(x: Table, y: Table, factor: float, z: Array, weights: Array) -> Array | None:
    """The shape of x + factor * y for independent x and y; None if both are Gaussian."""
    a, b = shape_of(x, z, weights), shape_of(y, z, weights)
    if a is None and b is None:
        return None
    sx, sy = _deviation(x), abs(factor) * _deviation(y)
    if b is not None and factor < 0:
        b = -b[::-1]
    if a is None:
        a, b, sx, sy = b, a, sy, sx
    assert a is not None
    left = sx * _atoms(a, z)
    if b is None:
        if sy <= 1e-6 * sx:
            return standardized(a, weights)
        points = np.linspace(left[0] - 6 * sy, left[-1] + 6 * sy, 2 * ATOMS)
        below = ndtr((points[:, None] - left) / sy).mean(1)
        return standardized(np.interp(ndtr(z), below, points), weights)
    sums = np.sort((left[:, None] + sy * _atoms(b, z)).ravel())
    return standardized(np.interp(ndtr(z), (np.arange(sums.size) + 0.5) / sums.size, sums), weights)


def kept_shape(out: Table, x: Table) -> Table:
    """`out`, which holds the entries of x in other places, with the distribution that they have."""
    if out is not x and not x.is_initial and "shape" not in out.notes:
        shape = shape_of(x, *grid())
        if shape is not None:
            out.notes["shape"] = shape
    return out


def shape_of(x: Table, z: Array, weights: Array) -> Array | None:
    """The shape of a table; None if it is Gaussian."""
    if "shape" in x.notes:
        return x.notes["shape"]
    if x.lineage is None:
        return None
    value = x.lineage.value[int(np.argmax(x.lineage.base.deviation))]
    order = np.argsort(value, kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return standardized(np.interp(ndtr(z), reached, value[order]), weights)


def standardized(quantiles: Array, weights: Array) -> Array | None:
    """Mean 0 and variance 1; None where the result is a straight line, or has no variance."""
    quantiles = quantiles - weights @ quantiles
    deviation = np.sqrt(weights @ quantiles**2)
    if deviation <= 0:
        return None
    quantiles = quantiles / deviation
    z_part = weights @ (quantiles * np.linspace(-8.0, 8.0, quantiles.size))
    return None if 1.0 - z_part**2 < STRAIGHT else quantiles


def given_summand(
    conditional: Array, total: Table, x: Table, y: Table, factor_x: float, factor_y: float, z: Array, weights: Array
) -> Array | None:
    """E[h(s) | x] for the sum s = factor_x x + factor_y y, h given at the quantiles of s; None if x has no lineage.

    A gradient that came back through a rectifier of s is larger where x is larger, and so is the chance that it passes
    the rectifier that made x.
    """
    if x.lineage is None or conditional.ndim == 0:
        return None
    shape_y, shape = shape_of(y, z, weights), total.notes["shape"]
    value = factor_x * x.lineage.value[int(np.argmax(x.lineage.base.deviation))]
    atoms = y.average + _deviation(y) * _atoms(z if shape_y is None else shape_y, z)[:: ATOMS // 64]
    sums = (value[:, None] + factor_y * atoms - total.average) / max(_deviation(total), 1e-300)
    return np.interp(np.interp(sums, shape, z), z, conditional).mean(1)


def from_samples(values: Array, z: Array, weights: Array) -> Array | None:
    """The shape of sampled values."""
    ordered = np.sort(values)
    return standardized(np.interp(ndtr(z), (np.arange(ordered.size) + 0.5) / ordered.size, ordered), weights)


def copula(correlation: Array, squared_coefficients: Array) -> Array:
    """The correlation r of the Gaussian copula from that of the table, by inverting sum_k q_k^2 r^k."""
    r = _correlations()
    rho = np.polynomial.polynomial.polyval(r, squared_coefficients / squared_coefficients.sum())
    return np.interp(correlation, np.maximum.accumulate(rho), r)


@lru_cache(1)
def _correlations() -> Array:
    near_one = 1 - np.geomspace(1e-6, 0.1, 200)[::-1]
    return np.concatenate([np.linspace(-1, 0.9, 400), near_one[1:], [1.0]])


def _atoms(shape: Array, z: Array) -> Array:
    probabilities = (np.arange(ATOMS) + 0.5) / ATOMS
    return np.interp(probabilities, ndtr(z), shape)


def _deviation(x: Table) -> float:
    return float(np.sqrt(max(0.0, x.second_moment - float(np.mean(x.mean**2)))))
