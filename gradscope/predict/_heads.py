"""Sampled attention heads: random matrices over queries and keys, and the linear maps that their second moments are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gradscope.predict import _axes
from gradscope.predict._axes import Array, Axis
from gradscope.predict._table import along

Indices = NDArray[np.intp]
JITTER = 1e-9  # of its trace, on the diagonal of a Gram matrix that may be singular
ROWS = 24  # queries that are drawn, at least, where there are as many


@dataclass(frozen=True)
class Kernel:
    """E x x' of one head by class of token pair, the number of its features, and whether their norm is fixed."""

    axis: Axis
    second: Array
    width: int
    is_normalized: bool = False


@dataclass(frozen=True, eq=False)
class Sums:
    """Second moments of a sampled matrix X (rows, keys).

    Attributes:
        groups: sums over groups of keys, by sample and row: (samples, rows, key groups).
        squares: E sum over keys of a group of X_ts X_t's: (classes of query pairs, key groups).
    """

    groups: Array
    squares: Array


def bilinear(left: Kernel, right: Kernel, count: int, rng: np.random.Generator) -> Array:
    """Samples of L R^T, L (rows, width) with kernel `left` at its representatives, R (keys, width) with `right`.

    Given L, every column is Gaussian with covariance L L^T: rows x keys normal numbers are enough, unless the norm of
    every key is fixed.
    """
    rows = representatives(left.axis)
    classes = _classes_at(left.axis, rows)
    covariance = left.second[classes]
    factors = _square_root(covariance) @ rng.standard_normal((count, len(rows), left.width))
    if left.is_normalized:
        factors *= _to_norm(factors, np.diag(covariance), left.width, -1)
    if right.is_normalized:
        keys = _correlated(right, (count, right.width), rng)
        squares = np.repeat(right.second[: len(right.axis.groups)], right.axis.groups)
        return factors @ (keys * _to_norm(keys, squares, right.width, -2))
    gram = factors @ factors.transpose(0, 2, 1)
    index = np.arange(len(rows))
    gram[:, index, index] += JITTER * np.trace(gram, axis1=1, axis2=2)[:, None] + 1e-300
    roots = np.linalg.cholesky(gram)
    return roots @ _correlated(right, (count, len(rows)), rng)


def _to_norm(vectors: Array, squares: Array, width: int, axis: int) -> Array:
    """What brings every vector along `axis` to the norm that its expected squares tell."""
    wanted = np.sqrt(width * (squares[:, None] if axis == -1 else squares[None]))
    return wanted / np.maximum(np.linalg.norm(vectors, axis=axis, keepdims=True), 1e-300)


def _correlated(kernel: Kernel, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Gaussian rows over tokens with the given kernel: (*shape, tokens)."""
    axis = kernel.axis
    groups = len(axis.groups)
    sizes = np.array(axis.groups)
    if axis.is_lattice:
        shared = kernel.second[_axes.pair_classes(axis)]
        return rng.standard_normal((*shape, groups)) @ _square_root(shared).T
    agree = kernel.second[:groups]
    between = kernel.second[groups:].reshape(groups, groups).copy()
    alone = sizes == 1
    between[alone, alone] = agree[alone]
    own = np.sqrt(np.maximum(agree - np.diag(between), 0.0))
    common = rng.standard_normal((*shape, groups)) @ _square_root(between).T
    out = np.repeat(common, sizes, axis=-1)
    if own.any():
        out += rng.standard_normal((*shape, axis.size)) * np.repeat(own, sizes)
    return out


def _square_root(matrix: Array) -> Array:
    """R with R R^T = matrix, its negative eigenvalues set to zero."""
    values, vectors = np.linalg.eigh((matrix + np.swapaxes(matrix, -1, -2)) / 2)
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]


@lru_cache(1024)
def _rows_per_group(axis: Axis) -> tuple[int, ...]:
    wanted = max(2, math.ceil(ROWS / len(axis.groups)))
    return tuple(min(size, wanted) for size in axis.groups)


@lru_cache(1024)
def representatives(axis: Axis) -> Indices:
    """Positions spread evenly over every group: (rows,)."""
    starts = np.concatenate([[0], np.cumsum(axis.groups)])[:-1]
    rows: list[int] = []
    for start, size, count in zip(starts, axis.groups, _rows_per_group(axis), strict=True):
        rows += [int(start) + int((i + 0.5) * size / count) for i in range(count)]
    return np.array(rows)


def _classes_at(axis: Axis, rows: Indices) -> Indices:
    """Class of every pair of the given positions: (rows, rows)."""
    if axis.size <= _axes.ENUMERABLE:
        return _axes.pair_classes(axis)[np.ix_(rows, rows)]
    group = np.searchsorted(np.cumsum(axis.groups), rows, side="right")
    classes = len(axis.groups) * (1 + group[:, None]) + group[None]
    np.fill_diagonal(classes, group)
    return classes


def sums_of(samples: Array, queries: Axis, keys: Axis) -> Sums:
    edges = np.concatenate([[0], np.cumsum(keys.groups)])
    squares = np.empty((queries.classes, len(keys.groups)))
    for g in range(len(keys.groups)):
        part = samples[:, :, edges[g] : edges[g + 1]]
        gram = np.tensordot(part, part, ((0, 2), (0, 2))) / samples.shape[0]
        squares[:, g] = _pair_averages(gram, queries)
    return Sums(np.add.reduceat(samples, edges[:-1], axis=-1), squares)


def independent_heads(sums: Sums, queries: Axis, keys: Axis) -> Sums:
    """The same for two independent heads: a share of 1 / n of the key pairs of a group of n agree."""
    mean = sums.groups.mean(0, keepdims=True)
    squares = np.einsum("cgg->cg", _products(mean, queries)) / np.array(keys.groups)
    return Sums(mean, squares)


def operator_of(sums: Sums, queries: Axis, keys: Axis) -> Array:
    """E sum_ss' X_ts X_t's' K(s, s') as a matrix: (classes of query pairs, classes of key pairs)."""
    products = _products(sums.groups, queries)
    if keys.is_lattice:
        flat = _axes.pair_classes(keys).ravel()
        return np.stack([np.bincount(flat, p.ravel(), keys.classes).astype(np.float64) for p in products])
    index = np.arange(len(keys.groups))
    products[:, index, index] -= sums.squares
    return np.concatenate([sums.squares, products.reshape(queries.classes, -1)], axis=1)


def _products(groups: Array, queries: Axis) -> Array:
    """E X_tg X_t'h of sums over key groups g and h: (classes of query pairs, key groups, key groups)."""
    samples, _, keys = groups.shape
    if queries.is_lattice:
        gram = np.einsum("nrg,nsh->rsgh", groups, groups) / samples
        return np.stack([gram[r, s] for r, s in zip(*_lattice_pairs(queries), strict=True)])
    counts = np.array(_rows_per_group(queries))
    edges = np.concatenate([[0], np.cumsum(counts)])[:-1]
    same = np.einsum("nrg,nrh->rgh", groups, groups) / samples
    agree = np.add.reduceat(same, edges, axis=0)
    sums = np.add.reduceat(groups, edges, axis=1)
    between = np.tensordot(sums, sums, (0, 0)).transpose(0, 2, 1, 3) / samples
    index = np.arange(len(counts))
    between[index, index] -= agree
    pairs = np.outer(counts, counts) - np.diag(counts)
    between /= np.maximum(pairs, 1)[:, :, None, None]
    return np.concatenate([agree / counts[:, None, None], between.reshape(-1, keys, keys)])


def _pair_averages(gram: Array, queries: Axis) -> Array:
    """The average of a (rows, rows) matrix over the representatives of every class of query pairs."""
    if queries.is_lattice:
        return gram[_lattice_pairs(queries)]
    counts = np.array(_rows_per_group(queries))
    edges = np.concatenate([[0], np.cumsum(counts)])[:-1]
    agree = np.add.reduceat(np.diag(gram), edges)
    between = np.add.reduceat(np.add.reduceat(gram, edges, 0), edges, 1)
    between[np.diag_indices(len(counts))] -= agree
    pairs = np.outer(counts, counts) - np.diag(counts)
    return np.concatenate([agree / counts, (between / np.maximum(pairs, 1)).ravel()])


@lru_cache(64)
def _lattice_pairs(axis: Axis) -> tuple[Indices, Indices]:
    """One pair of positions for every class: two (classes,)."""
    pairs = _axes.pair_classes(axis)
    where = [np.argwhere(pairs == c)[0] for c in range(axis.classes)]
    return np.array([w[0] for w in where]), np.array([w[1] for w in where])


def adjoint_of(operator: Array, queries: Axis, keys: Axis) -> Array:
    counts = _axes.pair_counts(keys)
    return operator.T * _axes.pair_counts(queries) / np.where(counts > 0, counts, np.inf)[:, None]


def applied(second: Array, own: Array, other: Array, at: int, batch: tuple[Axis, ...]) -> Array:
    """`own` for pairs within one head of one sample, `other` for all other pairs."""
    out = along(second, other, at)
    agreeing = tuple(slice(len(a.groups)) for a in batch)
    out[agreeing] = along(second[agreeing], own, at)
    return out


def row_group_averages(weights: Array, queries: Axis) -> Array:
    """The average over the representatives of every query group: (query groups, keys)."""
    counts = np.array(_rows_per_group(queries))
    edges = np.concatenate([[0], np.cumsum(counts)])[:-1]
    return np.add.reduceat(weights, edges, axis=0) / counts[:, None]


def key_group_sums(expected: Array, keys: Axis) -> Array:
    """Attention of every query group summed over key groups: (query groups, key groups)."""
    edges = np.concatenate([[0], np.cumsum(keys.groups)])[:-1]
    return np.add.reduceat(expected, edges, axis=-1)
