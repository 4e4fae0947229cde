"""Maxima over windows of a function of a Gaussian field, by drawing the field: moments, and who wins.

Two windows of one map that share entries or lie side by side are cut from one field. All others are tabulated by how
much they have in common: either one number that is added to all entries of both, as far positions of one map have it,
or entries that are correlated one by one, as the same windows of two similar samples are.
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
        one_by_one: of windows whose entries are correlated one by one, at every entry of `CORRELATIONS`.
        in_common: E y y' of windows whose entries all share one number; `CORRELATIONS` are shares of `most_common`.
        most_common: the largest variance that this number can have.
        average: correlation of two entries of a window drawn at random.
        near: of windows of one map, by their distance along every axis.
        slope: E of the squared slope at the largest entry.
        shape: see `_marginal`; None if it is Gaussian.
    """

    mean: float
    one_by_one: tuple[Pair, ...]
    in_common: tuple[float, ...]
    most_common: float
    average: float
    near: dict[tuple[int, ...], Pair]
    slope: float
    shape: Array | None

    @property
    def second_moment(self) -> float:
        return self.one_by_one[-1].product


def sampled(
    lineage: Lineage, node: int, axes: Sequence[Axis], kernel: Array, taps: Sequence[NDArray[np.int64]]
) -> tuple[Maxima, Array]:
    """Draw a field as large as the window and its neighbours: its maxima, and the window's entries (samples, taps).

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
    near = {}
    for distance, entries in others:
        other, its_winner = _largest(first, entries)
        near[distance] = Pair(_product(y, y, other), float((winner == its_winner).mean()))
    covariance = root[own[1]] @ root[own[1]].T
    maxima = Maxima(
        float(y.mean()),
        _one_by_one(y, np.searchsorted(own[1], winner), field[:, own[1]], covariance, z, value, rng),
        *_in_common(y, covariance, z, value, rng),
        float(covariance.mean()),
        near,
        float((np.interp(at_winner, z, slope) ** 2).mean()),
        from_samples(y, z, weights),
    )
    return maxima, first[:, own[1]]


def _one_by_one(
    y: Array,
    winner: NDArray[np.int64],
    window: Array,
    covariance: Array,
    z: Array,
    value: Array,
    rng: np.random.Generator,
) -> tuple[Pair, ...]:
    """The window again, with every entry correlated with itself."""
    other = rng.standard_normal(window.shape) @ _square_root(covariance).T
    every = np.arange(window.shape[1])
    pairs = [Pair(float(y.mean()) ** 2, 1.0 / every.size)]
    for rho in CORRELATIONS[1:]:
        again = np.interp(rho * window + math.sqrt(1 - rho * rho) * other, z, value)
        largest, its_winner = _largest(again, every)
        pairs.append(Pair(_product(y, y, largest), float((winner == its_winner).mean())))
    return tuple(pairs)


def _in_common(
    y: Array, covariance: Array, z: Array, value: Array, rng: np.random.Generator
) -> tuple[tuple[float, ...], float]:
    """Two windows that are independent but for one number u: K = c 1 1^T + (K - c 1 1^T), c <= 1 / (1^T K^-1 1)."""
    most = 1.0 / max(float(np.linalg.pinv(covariance, rcond=1e-9).sum()), 1.0)
    products = []
    for share in CORRELATIONS:
        root = _square_root(covariance - share * most)
        u = rng.standard_normal((SAMPLES, 1)) * math.sqrt(share * most)
        one, other = (
            np.interp(rng.standard_normal((SAMPLES, root.shape[0])) @ root.T + u, z, value).max(1) for _ in range(2)
        )
        products.append(_product(y, one, other) if share > 0 else float(y.mean()) ** 2)
    return tuple(products), most


def _product(y: Array, one: Array, other: Array) -> float:
    """E y y' with the correlation of two samples, and the moments of y, which both have."""
    correlation = float(np.cov(one, other)[0, 1]) / max((float(one.var()) + float(other.var())) / 2, 1e-300)
    return float(y.mean()) ** 2 + correlation * float(y.var())


def _largest(values: Array, entries: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """The largest of some entries of every sample, and which one it is."""
    inside = values[:, entries]
    rank = inside.argmax(1)
    return np.take_along_axis(inside, rank[:, None], 1)[:, 0], entries[rank]


def _entries(taps: Sequence[NDArray[np.int64]], window: Sequence[int], sides: Sequence[int]) -> NDArray[np.int64]:
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
    return _square_root(kernel[tuple(classes)])


def _square_root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _neighbour(axis: Axis, distance: int) -> int:
    """The class of two positions near the middle at this distance."""
    middle = axis.size // 2
    return int(_axes.pair_classes(axis)[middle, (middle + distance) % axis.size])
