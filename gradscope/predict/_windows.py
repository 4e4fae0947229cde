"""Maxima over windows of a function of a Gaussian field, by drawing the field: moments, and who wins.

Two windows of one map share entries or have neighbouring ones: both are cut from one field. Windows of different samples
or channels hold other entries that are correlated one by one: those are tabulated by correlation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradscope.predict import _axes
from gradscope.predict._axes import Array, Axis
from gradscope.predict._gaussian import Lineage
from gradscope.predict._grid import grid
from gradscope.predict._marginal import from_samples

SAMPLES = 20000  # fields drawn to tabulate a maximum
FARTHEST = 2  # windows from each other, along every axis, up to which both are cut from one field
CORRELATIONS = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.93, 0.98, 1.0])


@dataclass(frozen=True)
class Pair:
    """Of the maxima y and y' of two windows: E y y', and how often the same entry is both."""

    product: float
    same: float


@dataclass(frozen=True, eq=False)
class Maxima:
    """Of the maximum y over a window.

    Attributes:
        mean: E y.
        by_correlation: of windows whose entries are correlated one by one, at every entry of `CORRELATIONS`.
        near: of windows of one map, by their distance along every axis.
        slope: E of the squared slope at the largest entry.
        shape: see `_marginal`; None if it is Gaussian.
    """

    mean: float
    by_correlation: tuple[Pair, ...]
    near: dict[tuple[int, ...], Pair]
    slope: float
    shape: Array | None

    @property
    def second_moment(self) -> float:
        return self.by_correlation[-1].product


def sampled(lineage: Lineage, node: int, axes: Sequence[Axis], kernel: Array, taps: Sequence[Array]) -> Maxima:
    """Draw a field as large as the window and its neighbours.

    Args:
        lineage: the function of a Gaussian, on the grid at `node`.
        axes: the spatial axes of the Gaussian, and `kernel` its correlation: (classes...).
        taps: for every axis, what the windows 0, 1, ... read: (windows, taps) positions from the first on.
    """
    z, weights = grid()
    sides = [int(t.max()) + 1 for t in taps]
    root = _root(axes, kernel, sides)
    rng = np.random.default_rng(0)
    field = rng.standard_normal((SAMPLES, root.shape[0])) @ root.T
    windows = {d: _entries(taps, d, sides) for d in itertools.product(*(range(len(t)) for t in taps))}
    own, *others = windows.items()
    value, slope = lineage.value[node], lineage.slope[node]
    first = np.interp(field, z, value)
    y, winner = _largest(first, own[1])
    at_winner = np.take_along_axis(field, winner[:, None], 1)[:, 0]
    near = {distance: _pair(y, winner, *_largest(first, entries)) for distance, entries in others}
    one, other = field[:, own[1]], (rng.standard_normal((SAMPLES, root.shape[0])) @ root.T)[:, own[1]]
    every = np.arange(own[1].size)
    rank = np.searchsorted(own[1], winner)  # of the winner in its window
    by_correlation = [
        _pair(y, rank, *_largest(np.interp(rho * one + math.sqrt(1 - rho * rho) * other, z, value), every))
        for rho in CORRELATIONS
    ]
    by_correlation[0] = Pair(float(y.mean()) ** 2, by_correlation[0].same)
    return Maxima(
        float(y.mean()),
        tuple(by_correlation),
        near,
        float((np.interp(at_winner, z, slope) ** 2).mean()),
        from_samples(y, z, weights),
    )


def _pair(y: Array, winner: NDArray[np.int64], other: Array, other_winner: NDArray[np.int64]) -> Pair:
    """With the correlation of the sample and the moments of y, which the other maximum has too."""
    correlation = float(np.cov(y, other)[0, 1]) / max((float(y.var()) + float(other.var())) / 2, 1e-300)
    return Pair(float(y.mean()) ** 2 + correlation * float(y.var()), float((winner == other_winner).mean()))


def _largest(values: Array, entries: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """The largest of some entries of every sample, and which one it is."""
    inside = values[:, entries]
    rank = inside.argmax(1)
    return np.take_along_axis(inside, rank[:, None], 1)[:, 0], entries[rank]


def _entries(taps: Sequence[Array], window: Sequence[int], sides: Sequence[int]) -> NDArray[np.int64]:
    """Flat positions in the field that one window reads."""
    positions = np.meshgrid(*(t[w] for t, w in zip(taps, window, strict=True)), indexing="ij")
    return np.sort(np.ravel_multi_index([p.ravel() for p in positions], tuple(sides)))


def _root(axes: Sequence[Axis], kernel: Array, sides: Sequence[int]) -> Array:
    """A square root of the covariance of a field near the middle of the map."""
    offsets = np.stack([o.ravel() for o in np.meshgrid(*[np.arange(n) for n in sides], indexing="ij")])
    classes = []
    for axis, o in zip(axes, offsets, strict=True):
        by_distance = np.array([_neighbour(axis, d) for d in range(int(o.max()) + 1)])
        classes.append(by_distance[np.abs(o[:, None] - o[None])])
    values, vectors = np.linalg.eigh(kernel[tuple(classes)])
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _neighbour(axis: Axis, distance: int) -> int:
    """The class of two positions near the middle at this distance."""
    middle = axis.size // 2
    return int(_axes.pair_classes(axis)[middle, (middle + distance) % axis.size])
