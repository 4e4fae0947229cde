"""Singular values as weighted points: those of a quadrature, and how far each may stand for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from gradscope.spectra._bidiagonal import Bidiagonal

ROUNDING = 1e-6  # share of the largest singular value that float32 vectors blur one by


@dataclass(frozen=True, slots=True)
class Points:
    """What one random start vector, or a dense decomposition, tells of singular values.

    Attributes:
        values: singular values, or the points of a quadrature for them.
        weights: their shares, which sum to 1.
        lows: where the values that a point stands for begin; `highs`: where they end.
    """

    values: np.ndarray
    weights: np.ndarray
    lows: np.ndarray
    highs: np.ndarray

    def share_below(self, values: np.ndarray) -> np.ndarray:
        """Share of the singular values that do not exceed each of `values`."""
        inside = (values[:, None] - self.lows) / (self.highs - self.lows)
        return np.clip(inside, 0, 1) @ self.weights


def quadrature(run: Bidiagonal, steps: int) -> Points:
    """Singular values of the leading part of a bidiagonal matrix and the weights of the start vector in them.

    Within a Ritz value's residual there is a singular value for certain. What a point stands for is taken to lie
    evenly in there, but no further than half way to the next point: a value that has converged stays a point, and
    the continuous part of a density has no gaps.
    """
    alphas, betas = np.asarray(run.alphas[:steps]), np.asarray(run.betas[:steps])
    diagonal = alphas**2
    diagonal[1:] += betas[:-1] ** 2
    squares, vectors = eigh_tridiagonal(diagonal, alphas[:-1] * betas[:-1])
    squares = np.clip(squares, 0, None)
    values, reach = np.sqrt(squares), alphas[-1] * betas[-1] * np.abs(vectors[-1])
    between, blur = (values[1:] + values[:-1]) / 2, ROUNDING * values[-1]
    lows = np.maximum(np.sqrt(np.clip(squares - reach, 0, None)), np.concatenate(([0.0], between)))
    highs = np.minimum(np.sqrt(squares + reach), np.concatenate((between, values[-1:])))
    return Points(values, vectors[0] ** 2, np.minimum(lows, values - blur), np.maximum(highs, values + blur))


def joined(parts: Sequence[Points]) -> Points:
    """Equal shares of several sets of points."""
    columns = zip(*((p.values, p.weights / len(parts), p.lows, p.highs) for p in parts), strict=True)
    return Points(*(np.concatenate(column) for column in columns))
