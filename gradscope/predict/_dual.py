"""E f(u) f(v) for jointly Gaussian u and v: closed forms where known, Hermite expansions for any other function.

With the Hermite coefficients a_k(u) of z -> f(m + s z) it is sum_k a_k(u) a_k(v) rho^k (Daniely et al. 2016,
arXiv:1602.05897). By Price's theorem the same expansion of f' carries gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradscope.predict._axes import Array
from gradscope.predict._grid import TERMS, grid, weighted_hermite
from gradscope.predict._table import firsts, paired, seconds

if TYPE_CHECKING:
    from gradscope.predict._gaussian import Base

CENTRED = 1e-9  # mean over standard deviation that is rounding
LARGE = 5_000  # entries of a table above which all nodes share one Hermite spectrum


def dual(base: Base, value: Array) -> Array:
    """E f(x_I) f(x_J) for every class of pairs, f given on the grid as (nodes, points)."""
    piecewise = _slopes_around_zero(base, value)
    if piecewise is not None:
        return _piecewise_linear(base, *piecewise)
    coefficients = value @ weighted_hermite().T  # (nodes, terms)
    exact = (value * value) @ grid()[1]
    axes, rho = base.table.axes, base.correlation
    if rho.size > LARGE or exact.size == 1:
        return _dual_of_one_shape(base, coefficients, exact)
    missing = np.sqrt(np.maximum(exact - (coefficients**2).sum(1), 0.0))
    profile = base.share @ np.concatenate([coefficients, missing[:, None]], axis=1)
    ends = firsts(profile, axes) * seconds(profile, axes)  # (classes..., terms + 1)
    size = np.sqrt(base.share @ exact)
    apart = firsts(size, axes) * seconds(size, axes)
    ends *= np.divide(paired(size, axes), apart, out=np.ones(apart.shape), where=apart > 0)[..., None]
    powers = np.abs(rho)[..., None] ** np.array([*range(TERMS), 2 * TERMS])
    powers[..., 1::2] *= np.sign(rho)[..., None]
    out = (ends * powers).sum(-1)
    out = np.array(out)
    out[tuple(slice(len(a.groups)) for a in axes)] = base.share @ exact
    return out


def _dual_of_one_shape(base: Base, coefficients: Array, exact: Array) -> Array:
    """The dual with the Hermite spectrum of the average node, scaled at both ends of a pair: exact where they agree."""
    axes = base.table.axes
    weights = base.share.reshape(-1, exact.size).mean(0)
    squares = weights @ coefficients**2
    total = float(weights @ exact)
    if total <= 0:
        return np.zeros(base.correlation.shape)
    rho = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 2049))
    curve = np.polynomial.polynomial.polyval(rho, squares)
    curve += max(total - float(squares.sum()), 0.0) * np.sign(rho) * np.abs(rho) ** (2 * TERMS)
    out = np.interp(base.correlation, rho, curve)
    if exact.size > 1:
        profile = np.sqrt(base.share @ exact / total)
        out = out * paired(profile, axes)
    out = np.array(out)
    out[tuple(slice(len(a.groups)) for a in axes)] = base.share @ exact
    return out


def _slopes_around_zero(base: Base, value: Array) -> tuple[float, float, bool] | None:
    """(positive, negative, is_step) if f is p*x above and n*x below zero, or p and n themselves; else None."""
    if not base.is_gaussian or np.any(np.abs(base.mean) > CENTRED * base.deviation) or not np.any(base.deviation > 0):
        return None
    z = grid()[0]
    keep = base.deviation > 0
    points = base.deviation[keep, None] * z
    value = value[keep]
    for is_step, shape in ((False, points), (True, np.sign(points))):
        positive = float(value[0, -1] / shape[0, -1])
        negative = float(value[0, 0] / shape[0, 0])
        expected = np.where(points > 0, positive * shape, negative * shape)
        bound = 1e-6 * max(abs(positive), abs(negative), 1e-300) * np.abs(shape)
        if np.all(np.abs(value - expected) <= bound):
            return positive, negative if not is_step else -negative, is_step
    return None


def _piecewise_linear(base: Base, positive: float, negative: float, is_step: bool) -> Array:
    """Arc-cosine kernels (Cho & Saul 2009) of a piecewise linear function or of its derivative.

    A linear function alpha x + beta |x| has E f f' = s s' (alpha^2 rho + beta^2 (2/pi) (sqrt(1 - rho^2) + rho asin
    rho)), a step alpha + beta sign x has alpha^2 + beta^2 (2/pi) asin rho.
    """
    even, odd = (positive + negative) / 2, (positive - negative) / 2
    rho = base.correlation
    if is_step:
        return even**2 + odd**2 * (2 / np.pi) * np.arcsin(rho)
    folded = (2 / np.pi) * (np.sqrt(1 - rho**2) + rho * np.arcsin(rho))
    return base.scale * (even**2 * rho + odd**2 * folded)
