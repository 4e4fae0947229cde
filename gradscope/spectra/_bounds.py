"""What the bidiagonal matrix of a Golub-Kahan run says about the largest singular value: below, above, at best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.linalg import get_lapack_funcs

_NORMAL_QUANTILE = 2.576  # of the two-sided 99 % interval
(_tridiagonal_eigenvalues,) = get_lapack_funcs(("stebz",), dtype=np.float64)

_NEGLIGIBLE = 1e-6  # a coefficient this far below the largest one is rounding noise of float32 vectors


def ritz_value(alphas: Sequence[float], betas: Sequence[float]) -> float:
    """Largest singular value of the upper bidiagonal matrix: a lower bound of the operator's.

    Args:
        alphas: diagonal, length k.
        betas: superdiagonal; entries past k - 1 are ignored.
    """
    return _largest_value(np.asarray(alphas, dtype=np.float64), np.asarray(betas[: len(alphas) - 1], dtype=np.float64))


def _largest_value(alphas: np.ndarray, betas: np.ndarray, accuracy: float = 0.0) -> float:
    """√ of the largest eigenvalue of BᵀB, to an absolute `accuracy` of the eigenvalue (0: to rounding)."""
    k = len(alphas)
    diagonal = alphas * alphas
    if k == 1:
        return float(alphas[0])
    diagonal[1:] += betas * betas
    largest = _tridiagonal_eigenvalues(diagonal, alphas[:-1] * betas, 2, 0.0, 0.0, k, k, accuracy, "E")[1][0]
    return math.sqrt(max(largest, 0.0))


def continued_value(alphas: Sequence[float], betas: Sequence[float], tail: int, *, rows: int, columns: int) -> float:
    """Largest singular value once the matrix is continued as its last `tail` coefficients suggest.

    The coefficients of an operator whose singular values fill one band settle after a few steps, and a matrix
    continued with their mean has that band's edge (Haydock, "The recursive solution of the Schrödinger equation",
    Solid State Physics 35, 1980). Here α²ⱼ / (1 - (j - 1) / rows) and β²ⱼ / (1 - j / columns) are continued: those
    are constant for a matrix of independent entries (Dumitriu and Edelman, "Matrix models for beta ensembles", 2002).

    Args:
        alphas: diagonal, length k.
        betas: superdiagonal; entries past k - 1 are ignored.
        tail: how many coefficients are averaged.
        rows: entries of the operator's output; `columns`: of its input.
    """
    k = len(alphas)
    more = min(4 * k, rows - k, columns - k)
    if k < 3 or more <= 0:
        return ritz_value(alphas, betas)
    tail = max(2, min(tail, k - 2))
    down, right = _decline(rows, k + more), _decline(columns, k + more)
    a, b = np.empty(k + more), np.empty(k + more - 1)
    a[:k], b[: k - 1] = alphas, betas[: k - 1]
    alpha = np.square(a[k - tail : k] / down[k - tail : k]).mean()
    beta = np.square(b[k - 1 - tail : k - 1] / right[k - tail : k]).mean()
    a[k:], b[k - 1 :] = math.sqrt(alpha) * down[k:], math.sqrt(beta) * right[k:]
    return _largest_value(a, b, accuracy=1e-7 * (alpha + beta))


@lru_cache(maxsize=256)
def _decline(entries: int, count: int) -> np.ndarray:
    """√(1 - j / entries) for the first j."""
    return np.sqrt(1 - np.arange(count) / entries)


Growth = Callable[[float], float]


def growth(alphas: Sequence[float], betas: Sequence[float], theta: float) -> Growth | None:
    """margin > 0 -> log |p_k(t²)| at t = theta (1 + margin), increasing; None where the Krylov space is complete.

    The next Lanczos vector is p_k(JᵀJ) v₁, of length 1.

    Args:
        alphas: diagonal, length k.
        betas: superdiagonal with the trailing coefficient, length k.
        theta: their Ritz value.
    """
    off = [x * y for x, y in zip(alphas, betas, strict=True)]
    if theta == 0 or off[-1] <= _NEGLIGIBLE * theta * theta:
        return None
    diagonal = [x * x for x in alphas]
    for j in range(1, len(alphas)):
        diagonal[j] += betas[j - 1] ** 2

    def logarithm(margin: float) -> float:
        square = (theta * (1 + margin)) ** 2
        previous, current, scale, last = 0.0, 1.0, 0.0, 0.0
        for d, e in zip(diagonal, off, strict=True):
            previous, current, last = current, ((square - d) * current - last * previous) / e, e
            size = abs(current)
            if size > 1e60:
                scale += math.log(size)
                previous, current = previous / size, math.copysign(1.0, current)
        return scale + math.log(abs(current) + 1e-300)

    return logarithm


def escape(probability: float, dimension: int) -> float:
    """The growth from which on a singular value would escape the start vector with at most this probability.

    |p_k(σ²)| |⟨v₁, y₁⟩| ≤ 1 at the largest singular pair (σ, y₁), and a uniform unit vector of n entries has
    |⟨v₁, y₁⟩| ≥ p √(π / 2n) with probability 1 - p (Hochstenbach, "Probabilistic upper bounds for the matrix
    two-norm", J. Sci. Comput. 57, 2013).
    """
    return -math.log(probability * math.sqrt(math.pi / (2 * dimension)))


def upper_bound(theta: float, growth: Growth | None, *, dimension: int, probability: float) -> float:
    """A bound that the largest singular value exceeds with at most `probability` over the random start vector.

    Args:
        theta: the Ritz value.
        growth: of the same coefficients.
        dimension: number n of entries of the start vector.
        probability: chance of failure that is allowed.
    """
    if growth is None:
        return theta
    least = escape(probability, dimension)
    return theta * (1 + _increasing_root(lambda margin: growth(margin) - least))


def _increasing_root(function: Callable[[float], float], start: float = 1e-7, accuracy: float = 0.02) -> float:
    """A point at or just above the root of an increasing function: relative excess at most `accuracy`; may be inf."""
    low, at_low = start, function(start)
    if at_low >= 0:
        return 0.0
    high = 0.02
    at_high = function(high)
    while at_high < 0:
        low, at_low, high = high, at_high, 4 * high
        if high > 1e4:
            return math.inf
        at_high = function(high)
    while high - low > accuracy * high and at_high > accuracy:
        secant = (low * at_high - high * at_low) / (at_high - at_low)
        middle = math.sqrt(low * high) if high > 8 * low else max(secant, low + 0.05 * (high - low))
        at_middle = function(middle)
        if at_middle < 0:
            low, at_low = middle, at_middle
        else:
            high, at_high = middle, at_middle
    return high


def mean_square_interval(second: float, fourth: float, *, ceiling: float, n: float) -> tuple[float, float]:
    """99 % interval of the mean squared singular value m₂, from vᵀAv and vᵀA²v of a random unit vector, A = JᵀJ.

    vᵀAv has mean m₂ and variance 2 / (n + 2) (m₄ - m₂²); m₄ is bounded in the same way by its own estimate and by
    A ≤ `ceiling`, so an outlying singular value that the vector has missed still widens the interval.

    Args:
        second: vᵀAv.
        fourth: vᵀA²v.
        ceiling: largest eigenvalue of A.
        n: entries of the vector (of all vectors together, when several are averaged).
    """
    c = 2 * _NORMAL_QUANTILE**2 / (n + 2)
    half = fourth + c * ceiling**2 / 2  # the largest x with (fourth - x)² <= c x ceiling²
    most = min(half + math.sqrt(max(half * half - fourth * fourth, 0.0)), ceiling**2)
    root = math.sqrt(max(second**2 - (1 + c) * (second**2 - c * most), 0.0))
    return max(second - root, 0.0) / (1 + c), (second + root) / (1 + c)
