"""Axes of a moment table: which pairs of positions along an axis are alike, and how partitions change.

A second-moment table holds E[x_i x_j] for *classes* of index pairs. An axis of n positions is cut into consecutive
groups of positions that are statistically alike. Class g < groups holds the pairs (i, i) of group g ("agree"). The
other classes hold pairs i != j: one for every ordered pair of groups or, on a lattice, one for every distance up to
`reach` and by how close their two ends are to a border. One group is an exchangeable axis (2 classes); groups of one
position each resolve the axis fully.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

ENUMERABLE = 512  # longest axis whose pairs are listed one by one
RESOLVED = 10  # longest spatial axis that is resolved fully
BORDER = 2  # positions from the border that a lattice tells apart
_CACHE = 4096


@dataclass(frozen=True)
class Axis:
    """One axis of a table.

    Attributes:
        groups: number of positions in every consecutive group.
        reach: -1 if pairs are told apart by group; otherwise every group is one position and pairs are told apart by
            distance up to `reach` and by how close their ends are to the borders.
    """

    groups: tuple[int, ...]
    reach: int = -1

    @property
    def size(self) -> int:
        return _size(self)

    @property
    def is_exchangeable(self) -> bool:
        return len(self.groups) == 1

    @property
    def is_lattice(self) -> bool:
        return self.reach >= 0

    @property
    def has_positions(self) -> bool:
        """Whether every group is one position."""
        return len(self.groups) == self.size

    @property
    def classes(self) -> int:
        return pair_counts(self).size


def exchangeable(size: int) -> Axis:
    """An axis on which all positions are alike."""
    return Axis((size,))


def resolved(size: int) -> Axis:
    """An axis on which every position, and every pair, stands for itself."""
    return Axis((1,) * size)


def spatial(size: int, reach: int = 3) -> Axis:
    """A spatial axis, on which every position has its own variance: resolved if short, else a lattice."""
    return Axis((1,) * size, reach if size > RESOLVED else -1)


def geometric(size: int, singles: int = 6, ratio: float = 1.5) -> Axis:
    """A token axis under a causal mask: the first tokens one by one, then groups that grow with the position."""
    groups: list[int] = []
    while (done := sum(groups)) < size:
        groups.append(1 if done < singles else min(size - done, max(1, round(done * (ratio - 1)))))
    return Axis(tuple(groups))


@lru_cache(_CACHE)
def _size(axis: Axis) -> int:
    return sum(axis.groups)


@lru_cache(_CACHE)
def pair_counts(axis: Axis) -> Array:
    """Number of ordered pairs in every class: (classes,)."""
    n = np.array(axis.groups, dtype=float)
    if not axis.is_lattice:
        return np.concatenate([n, (np.outer(n, n) - np.diag(n)).ravel()])
    return np.bincount(pair_classes(axis).ravel()).astype(float)


@lru_cache(_CACHE)
def ends(axis: Axis) -> tuple[Array, Array]:
    """Where the first and the second member of a class's pairs lie: two (classes, groups), rows sum to 1."""
    groups = len(axis.groups)
    same = np.eye(groups)
    if not axis.is_lattice:
        return np.concatenate([same, np.repeat(same, groups, 0)]), np.concatenate([same, np.tile(same, (groups, 1))])
    first, second = np.zeros((axis.classes, groups)), np.zeros((axis.classes, groups))
    np.add.at(first, (pair_classes(axis), np.arange(groups)[:, None]), 1.0)
    np.add.at(second, (pair_classes(axis), np.arange(groups)[None]), 1.0)
    return first / first.sum(1, keepdims=True), second / second.sum(1, keepdims=True)


def together(axis: Axis, profile: Array) -> Array:
    """The average of profile(i) profile(j) over a class's pairs, over the product of the averages at both ends."""
    classes, groups = pair_classes(axis).ravel(), np.repeat(profile, axis.groups)
    first, second = ends(axis)
    apart = (first @ profile) * (second @ profile)
    average = np.bincount(classes, np.outer(groups, groups).ravel(), axis.classes) / pair_counts(axis)
    return np.divide(average, apart, out=np.ones(axis.classes), where=apart > 0)


@lru_cache(256)
def pair_classes(axis: Axis) -> NDArray[np.int64]:
    """Class of every ordered pair: (size, size)."""
    groups = np.repeat(np.arange(len(axis.groups)), axis.groups)
    if axis.is_lattice:
        distance = np.minimum(np.abs(groups[:, None] - groups[None]), axis.reach + 1)
        zone = np.where(groups >= axis.size - BORDER, 2 * BORDER - (axis.size - 1 - groups), np.minimum(groups, BORDER))
        key = (distance * (2 * BORDER + 1) + zone[:, None]) * (2 * BORDER + 1) + zone[None]
        np.fill_diagonal(key, -1)
        _, classes = np.unique(key, return_inverse=True)
        classes = classes.reshape(key.shape) + axis.size - 1
    else:
        classes = len(axis.groups) * (1 + groups[:, None]) + groups[None]
    np.fill_diagonal(classes, groups)
    return classes


@lru_cache(_CACHE)
def average_pairs(axis: Axis) -> Array:
    """Weight of every class in the average over all pairs: (classes,)."""
    return pair_counts(axis) / axis.size**2


@lru_cache(_CACHE)
def average_points(axis: Axis) -> Array:
    """Weight of every group in the average over all positions: (groups,)."""
    return np.array(axis.groups, dtype=float) / axis.size


@lru_cache(_CACHE)
def average_agreeing(axis: Axis) -> Array:
    """Weight of every class in the average over pairs (i, i): (classes,)."""
    weights = np.zeros(axis.classes)
    weights[: len(axis.groups)] = average_points(axis)
    return weights
