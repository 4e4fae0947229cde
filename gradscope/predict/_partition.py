"""Changes of partition and fixed linear maps along an axis, as matrices between classes of pairs.

Every function returns (pairs, points): how the classes and the groups of the new axes average those of the old ones.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gradscope.predict._axes import (
    ENUMERABLE,
    Array,
    Axis,
    average_agreeing,
    average_pairs,
    average_points,
    exchangeable,
    pair_classes,
    resolved,
    spatial,
)

_CACHE = 4096


@lru_cache(_CACHE)
def recast(old: Axis, new: Axis) -> tuple[Array, Array]:
    """From one partition of the same positions to another: (new classes, old classes), (new groups, old groups)."""
    points = _overlap(new, old)
    if old.is_exchangeable:
        pairs = np.zeros((new.classes, 2))
        pairs[: len(new.groups), 0] = 1.0
        pairs[len(new.groups) :, 1] = 1.0
        return pairs, points
    if new.is_exchangeable:
        agree, everything = average_agreeing(old), average_pairs(old)
        differ = everything - agree / old.size
        return np.stack([agree, differ / max(differ.sum(), 1e-300)]), points
    if max(old.size, new.size) <= ENUMERABLE:
        return _tally(pair_classes(new), new.classes, pair_classes(old), old.classes), points
    pairs = np.zeros((new.classes, old.classes))
    groups, olds = len(new.groups), len(old.groups)
    pairs[:groups, :olds] = points
    pairs[groups:, olds:] = np.kron(points, points)
    return pairs, points


def common(a: Axis, b: Axis) -> Axis:
    """A partition at least as fine as both, where one is affordable."""
    if a == b or b.is_exchangeable:
        return a
    if a.is_exchangeable:
        return b
    if a.is_lattice or b.is_lattice:
        return a if a.is_lattice else b
    edges = sorted(set(np.cumsum(a.groups)) | set(np.cumsum(b.groups)))
    return Axis(tuple(int(e - s) for s, e in zip([0, *edges[:-1]], edges, strict=True)))


@lru_cache(_CACHE)
def split(axis: Axis, inner: int) -> tuple[Axis, Axis, Array, Array]:
    """An axis of a*b positions seen as (a, b), b = `inner`.

    Returns:
        the two axes, pairs (classes a, classes b, classes), points (groups a, groups b, groups).
    """
    outer = axis.size // inner
    if not axis.is_lattice and all(g % inner == 0 for g in axis.groups):
        a, b = Axis(tuple(g // inner for g in axis.groups)), exchangeable(inner)
        groups = len(axis.groups)
        pairs = np.zeros((a.classes, 2, axis.classes))
        for g in range(groups):
            pairs[g, 0, g] = 1.0
            pairs[g, 1, groups * (1 + g) + g] = 1.0
        for c in range(groups, axis.classes):
            pairs[c, :, c] = 1.0
        return a, b, pairs, np.eye(groups)[:, None, :]
    if axis.size > ENUMERABLE:
        coarse, points = recast(axis, exchangeable(axis.size))
        a, b, pairs, eye = split(exchangeable(axis.size), inner)
        return a, b, pairs @ coarse, eye @ points
    a = exchangeable(outer) if axis.is_lattice else resolved(outer)
    b = spatial(inner, axis.reach) if axis.is_lattice else resolved(inner)
    ia, ib = np.divmod(np.arange(axis.size), inner)
    classes_a, classes_b = pair_classes(a)[np.ix_(ia, ia)], pair_classes(b)[np.ix_(ib, ib)]
    pairs = _tally(classes_a * b.classes + classes_b, a.classes * b.classes, pair_classes(axis), axis.classes)
    points = np.einsum("ig,ih,ix->ghx", _membership(a)[ia], _membership(b)[ib], _membership(axis))
    points /= points.sum(-1, keepdims=True)
    return a, b, pairs.reshape(a.classes, b.classes, axis.classes), points


@lru_cache(_CACHE)
def merge(a: Axis, b: Axis) -> tuple[Axis, Array, Array]:
    """Two axes seen as one of a*b positions.

    Returns:
        the axis, pairs (classes, classes a, classes b), points (groups, groups a, groups b).
    """
    size = a.size * b.size
    if b.is_exchangeable and not a.is_lattice:
        axis = Axis(tuple(g * b.size for g in a.groups))
        groups = len(a.groups)
        pairs = np.zeros((axis.classes, a.classes, 2))
        share = average_pairs(b)  # agree, differ
        for g, n in enumerate(a.groups):
            pairs[g, g, 0] = 1.0
            own = groups * (1 + g) + g
            total_pairs = n * b.size * (n * b.size - 1.0)
            pairs[own, g, 1] = n * b.size * (b.size - 1.0) / total_pairs
            pairs[own, own] = n * (n - 1.0) * b.size**2 / total_pairs * share
        for c in range(groups, a.classes):
            if (c - groups) // groups != (c - groups) % groups:
                pairs[c, c] = share
        return axis, pairs, np.eye(groups)[:, :, None]
    agree = np.multiply.outer(average_agreeing(a), average_agreeing(b))
    differ = np.multiply.outer(average_pairs(a), average_pairs(b)) - agree / size
    pairs = np.stack([agree, differ / differ.sum()])
    return exchangeable(size), pairs, np.multiply.outer(average_points(a), average_points(b))[None]


# --- fixed linear maps along one axis ----------------------------------------------------------------


def shared_taps(sources: NDArray[np.int64], old: Axis, new: Axis) -> Array:
    """E of sum_d w_d x[u_d(i)] times the same at j, for independent w_d of unit variance: (new classes, old classes).

    Args:
        sources: u_d(i), the position that tap d of output i reads, or -1 for padding: (taps, new size).
    """
    total = np.zeros((new.classes, old.classes))
    for source in sources:
        total += _pick(source, old, new)
    return total


@lru_cache(_CACHE)
def _cached_lift(flat: bytes, shape: tuple[int, int], old: Axis, new: Axis) -> tuple[Array, Array]:
    matrix = np.frombuffer(flat).reshape(shape)
    pairs = np.zeros((new.classes, old.classes))
    old_classes, new_classes = pair_classes(old), pair_classes(new).ravel()
    counts = np.bincount(new_classes, minlength=new.classes)
    for c in range(old.classes):
        spread = matrix @ (old_classes == c) @ matrix.T
        pairs[:, c] = np.bincount(new_classes, spread.ravel(), new.classes) / np.maximum(counts, 1)
    membership = _membership(new) / _membership(new).sum(0)
    return pairs, membership.T @ matrix @ _membership(old)


def lift(matrix: Array, old: Axis, new: Axis) -> tuple[Array, Array]:
    """y = matrix @ x along one axis, matrix (new size, old size): pairs and points."""
    matrix = np.ascontiguousarray(matrix, dtype=float)
    return _cached_lift(matrix.tobytes(), matrix.shape, old, new)  # type: ignore[arg-type]


def _pick(source: NDArray[np.int64], old: Axis, new: Axis) -> Array:
    valid = source >= 0
    inside = np.outer(valid, valid).ravel()
    new_classes = pair_classes(new).ravel()
    old_classes = pair_classes(old)[np.ix_(source, source)].ravel()
    hits = np.bincount((new_classes * old.classes + old_classes)[inside], minlength=new.classes * old.classes)
    counts = np.bincount(new_classes, minlength=new.classes)
    return hits.reshape(new.classes, old.classes) / np.maximum(counts, 1)[:, None]


def tally(new: Axis, old_classes: NDArray[np.int64], classes: int) -> Array:
    """Share of the pairs of every class of `new` that are of every old class, given for each pair of positions."""
    return _tally(pair_classes(new), new.classes, old_classes, classes)


def _tally(new: NDArray[np.int64], new_classes: int, old: NDArray[np.int64], old_classes: int) -> Array:
    hits = np.bincount((new * old_classes + old).ravel(), minlength=new_classes * old_classes)
    pairs = hits.reshape(new_classes, old_classes).astype(float)
    return pairs / np.maximum(pairs.sum(1, keepdims=True), 1.0)


def _membership(axis: Axis) -> Array:
    """(size, groups), one where the position lies in the group."""
    return np.repeat(np.eye(len(axis.groups)), axis.groups, axis=0)


def _overlap(new: Axis, old: Axis) -> Array:
    """Share of every new group that lies in every old group: (new groups, old groups)."""
    if old.is_exchangeable:
        return np.ones((len(new.groups), 1))
    new_edges, old_edges = np.concatenate([[0], np.cumsum(new.groups)]), np.concatenate([[0], np.cumsum(old.groups)])
    low = np.maximum(new_edges[:-1, None], old_edges[None, :-1])
    high = np.minimum(new_edges[1:, None], old_edges[None, 1:])
    shared = np.maximum(high - low, 0).astype(float)
    return shared / np.array(new.groups, dtype=float)[:, None]
