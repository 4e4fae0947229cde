"""Attention: queries, keys and values as kernels over tokens, the softmax between them by sampling one head.

Scores S = f Q K^T have E S_ts S_t's' = f^2 d Kq(t, t') Kk(s, s'). A few rows that stand for all queries are drawn against
every key, so that short causal rows, concentrated rows and correlated tokens are exact up to sampling. What the rest of
the network needs are second moments of a random matrix X (the attention A, or the gradient of the scores) summed
against kernels over keys, E sum_ss' X_ts X_t's' K(s, s'): a linear map from classes of key pairs to classes of query
pairs, built from the sums of X over groups of keys.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from torch import Tensor

from gradscope.predict import _axes
from gradscope.predict._axes import Array, Axis
from gradscope.predict._table import Change, Table, along, change, refined, single

ENTRIES = 1_500_000  # of the sampled scores: sets how many heads are drawn
FEWEST, MOST = 8, 256  # heads
ROWS = 24  # queries that are drawn, at least, where there are as many
LONGEST = 4096  # keys that are drawn


@dataclass(frozen=True)
class Scores:
    """A product of queries (..., T, d) and keys (..., d, S) on its way to a softmax.

    Attributes:
        factor: what it was multiplied with.
        is_open: which entries are left by masks, broadcastable to (..., T, S); None for all.
        noise: variance of an independent random bias.
    """

    queries: Table
    keys: Table
    factor: float = 1.0
    is_open: Tensor | None = None
    noise: float = 0.0

    def scaled(self, factor: float) -> Scores:
        return replace(self, factor=self.factor * factor, noise=self.noise * factor**2)

    def masked(self, is_open: Tensor) -> Scores:
        return replace(self, is_open=is_open if self.is_open is None else self.is_open & is_open)

    def biased(self, variance: float) -> Scores:
        return replace(self, noise=self.noise + variance)


@dataclass(frozen=True)
class _Kernel:
    """E x x' of one head along tokens, summed over nothing: by class of token pair, and `width` independent features."""

    axis: Axis
    second: Array
    width: int


@dataclass(frozen=True, eq=False)
class _Sums:
    """Second moments of a sampled matrix X (rows, keys).

    Attributes:
        groups: sums over groups of keys, by sample and row: (samples, rows, key groups).
        squares: E sum over keys of a group of X_ts X_t's: (classes of query pairs, key groups).
    """

    groups: Array
    squares: Array


@dataclass(frozen=True, eq=False)
class Attention:
    """A softmax of scores.

    Attributes:
        queries, keys: with a single token axis each.
        scores: the scores they came from.
        factor: the attention is multiplied by this after the softmax.
        dropout: probability of dropping an entry after the softmax.
    """

    queries: Table
    keys: Table
    scores: Scores
    factor: float = 1.0
    dropout: float = 0.0

    @classmethod
    def of(cls, scores: Scores) -> Attention:
        """Give both token axes one axis, fine enough for the mask."""
        queries = _with_token_axis(scores.queries, len(scores.queries.dims) - 2)
        keys = _with_token_axis(scores.keys, len(scores.keys.dims) - 1)
        if scores.is_open is not None:
            queries = _refined_for(queries, len(queries.dims) - 2, scores.is_open, -2)
            keys = _refined_for(keys, len(keys.dims) - 1, scores.is_open, -1)
        return cls(queries, keys, scores)

    def scaled(self, factor: float) -> Attention:
        return replace(self, factor=self.factor * factor)

    def dropped(self, probability: float) -> Attention:
        return replace(self, dropout=probability)

    # --- kernels of one head ------------------------------------------------------------------------

    @property
    def query_kernel(self) -> _Kernel:
        return _kernel(self.queries, len(self.queries.dims) - 2)

    @property
    def key_kernel(self) -> _Kernel:
        return _kernel(self.keys, len(self.keys.dims) - 1)

    @property
    def rows(self) -> Array:
        """Queries that stand for all: a few of every group, (rows,)."""
        return _representatives(self.query_kernel.axis)

    def weights(self, rng: np.random.Generator) -> Array:
        """Sampled attention of the representative queries: (samples, rows, keys)."""
        queries, keys = self.query_kernel, self.key_kernel
        if keys.axis.size > LONGEST:
            raise ValueError("more keys than are drawn")
        count = int(np.clip(ENTRIES / (len(self.rows) * keys.axis.size), FEWEST, MOST))
        scores = self.scores.factor * _bilinear(queries, keys, count, rng)
        if self.scores.noise:
            scores += math.sqrt(self.scores.noise) * rng.standard_normal(scores.shape)
        if self.scores.is_open is not None:
            scores = np.where(self._open_rows(), scores, -np.inf)
        scores -= np.where(np.isfinite(top := scores.max(-1, keepdims=True)), top, 0.0)
        weights = np.exp(scores)
        return weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)

    def _open_rows(self) -> Array:
        is_open = self.scores.is_open
        assert is_open is not None
        while is_open.ndim > 2:
            is_open = is_open[0]
        rows = [r if is_open.shape[-2] > 1 else 0 for r in self.rows]
        return is_open[rows].numpy()

    # --- with values --------------------------------------------------------------------------------

    def mix(self, attention: Table, values: Table) -> Table:
        """attention @ values, values (..., S, d)."""
        token_dim = len(values.dims) - 2
        values = _with_token_axis(values, token_dim)
        keys = self.key_kernel.axis
        if values.dims[token_dim][0] != keys:
            common = _axes.common(values.dims[token_dim][0], keys)
            values = refined(values, token_dim, 0, common)
            if common != keys:
                return replace(self, keys=refined(self.keys, len(self.keys.dims) - 1, 0, common)).mix(attention, values)
        queries = self.query_kernel.axis
        at = sum(len(d) for d in values.dims[:token_dim])
        batch = values.axes[:at]
        seed = attention.order
        weights = self.weights(np.random.default_rng(seed)) * self.factor
        sums = _sums(weights, queries, keys)
        if self.dropout:
            sums.squares[: len(queries.groups)] /= 1.0 - self.dropout
        expected = _by_row_group(weights.mean(0), queries)
        own, other = _operator(sums, queries, keys), _operator(_averaged(sums, queries, keys), queries, keys)
        second = _apply(values.second, own, other, at, batch)
        mean = along(values.mean, _by_group(expected, keys), at)

        def backward(gradient: Array) -> list[Array]:
            own, other = _operator(sums, queries, keys), _operator(_averaged(sums, queries, keys), queries, keys)
            to_values = _apply(gradient, _adjoint(own, queries, keys), _adjoint(other, queries, keys), at, batch)
            to_queries, to_keys = self._score_gradients(gradient, values, at, seed)
            return [to_queries, to_keys, to_values]

        dims = (*values.dims[:token_dim], (queries,), *values.dims[token_dim + 1 :])
        out = Table(dims, mean, second, (self.queries, self.keys, values), backward)
        return out if queries.size > 1 else _without_unit(out, token_dim)

    def _score_gradients(self, gradient: Array, values: Table, at: int, seed: int) -> tuple[Array, Array]:
        """From the gradient of attention @ values to queries and keys, on the same sampled heads."""
        queries, keys = self.query_kernel, self.key_kernel
        rng = np.random.default_rng(seed)
        weights = self.weights(rng)
        value_kernel = _kernel(values, len(values.dims) - 2)
        own = gradient[(0,) * at]
        for axis in reversed(values.axes[at + 1 :]):
            own = own @ _axes.average_agreeing(axis)
        inner = _Kernel(queries.axis, own, value_kernel.width)
        received = _bilinear(inner, value_kernel, weights.shape[0], rng) * self.factor
        if self.dropout:
            received *= (rng.random(received.shape) >= self.dropout) / (1.0 - self.dropout)
        change_of_scores = weights * (received - (weights * received).sum(-1, keepdims=True)) * self.scores.factor
        operator = _operator(_sums(change_of_scores, queries.axis, keys.axis), queries.axis, keys.axis)
        to_queries = operator @ keys.second
        to_keys = _adjoint(operator, queries.axis, keys.axis) @ queries.second
        dims = len(self.queries.dims)
        return _embedded(to_queries, self.queries, dims - 2), _embedded(to_keys, self.keys, len(self.keys.dims) - 1)


# --- samples -----------------------------------------------------------------------------------------


def _bilinear(left: _Kernel, right: _Kernel, count: int, rng: np.random.Generator) -> Array:
    """Samples of L R^T, L (rows, width) with kernel `left` at its representatives, R (keys, width) with `right`.

    Given L, every column is Gaussian with covariance L L^T: rows x keys normal numbers are enough.
    """
    rows = _representatives(left.axis)
    classes = _classes_at(left.axis, rows)
    root = _square_root(left.second[classes])
    factors = root @ rng.standard_normal((count, len(rows), left.width))
    gram = factors @ factors.transpose(0, 2, 1)
    roots = _square_root(gram)
    return roots @ _correlated(right, (count, len(rows)), rng)


def _correlated(kernel: _Kernel, shape: tuple[int, int], rng: np.random.Generator) -> Array:
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


# --- rows and pairs of rows --------------------------------------------------------------------------


@lru_cache(1024)
def _rows_per_group(axis: Axis) -> tuple[int, ...]:
    wanted = max(2, math.ceil(ROWS / len(axis.groups)))
    return tuple(min(size, wanted) for size in axis.groups)


@lru_cache(1024)
def _representatives(axis: Axis) -> Array:
    """Positions spread evenly over every group: (rows,)."""
    starts = np.concatenate([[0], np.cumsum(axis.groups)])[:-1]
    rows: list[int] = []
    for start, size, count in zip(starts, axis.groups, _rows_per_group(axis), strict=True):
        rows += [int(start) + int((i + 0.5) * size / count) for i in range(count)]
    return np.array(rows)


def _classes_at(axis: Axis, rows: Array) -> Array:
    """Class of every pair of the given positions: (rows, rows)."""
    if axis.size <= _axes.ENUMERABLE:
        return _axes.pair_classes(axis)[np.ix_(rows, rows)]
    group = np.searchsorted(np.cumsum(axis.groups), rows, side="right")
    classes = len(axis.groups) * (1 + group[:, None]) + group[None]
    np.fill_diagonal(classes, group)
    return classes


# --- second moments of sampled matrices --------------------------------------------------------------


def _sums(samples: Array, queries: Axis, keys: Axis) -> _Sums:
    edges = np.concatenate([[0], np.cumsum(keys.groups)])
    squares = np.empty((queries.classes, len(keys.groups)))
    for g in range(len(keys.groups)):
        part = samples[:, :, edges[g] : edges[g + 1]]
        gram = np.tensordot(part, part, ((0, 2), (0, 2))) / samples.shape[0]
        squares[:, g] = _pair_averages(gram, queries)
    return _Sums(np.add.reduceat(samples, edges[:-1], axis=-1), squares)


def _averaged(sums: _Sums, queries: Axis, keys: Axis) -> _Sums:
    """The same for two independent heads: a share of 1 / n of the key pairs of a group of n agree."""
    mean = sums.groups.mean(0, keepdims=True)
    squares = np.einsum("cgg->cg", _products(mean, queries)) / np.array(keys.groups)
    return _Sums(mean, squares)


def _operator(sums: _Sums, queries: Axis, keys: Axis) -> Array:
    """E sum_ss' X_ts X_t's' K(s, s') as a matrix: (classes of query pairs, classes of key pairs)."""
    products = _products(sums.groups, queries)
    if keys.is_lattice:
        flat = _axes.pair_classes(keys).ravel()
        return np.stack([np.bincount(flat, p.ravel(), keys.classes) for p in products])
    index = np.arange(len(keys.groups))
    products[:, index, index] -= sums.squares
    return np.concatenate([sums.squares, products.reshape(queries.classes, -1)], axis=1)


def _products(groups: Array, queries: Axis) -> Array:
    """E X_tg X_t'h of sums over key groups g and h: (classes of query pairs, key groups, key groups)."""
    samples, rows, keys = groups.shape
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
def _lattice_pairs(axis: Axis) -> tuple[Array, Array]:
    """One pair of positions for every class: two (classes,)."""
    pairs = _axes.pair_classes(axis)
    where = [np.argwhere(pairs == c)[0] for c in range(axis.classes)]
    return np.array([w[0] for w in where]), np.array([w[1] for w in where])


def _adjoint(operator: Array, queries: Axis, keys: Axis) -> Array:
    counts = _axes.pair_counts(keys)
    return operator.T * _axes.pair_counts(queries) / np.where(counts > 0, counts, np.inf)[:, None]


def _apply(second: Array, own: Array, other: Array, at: int, batch: tuple[Axis, ...]) -> Array:
    """`own` for pairs within one head of one sample, `other` for all other pairs."""
    out = along(second, other, at)
    agreeing = tuple(slice(len(a.groups)) for a in batch)
    out[agreeing] = along(second[agreeing], own, at)
    return out


def _by_row_group(weights: Array, queries: Axis) -> Array:
    """The average over the representatives of every query group: (query groups, keys)."""
    counts = np.array(_rows_per_group(queries))
    edges = np.concatenate([[0], np.cumsum(counts)])[:-1]
    return np.add.reduceat(weights, edges, axis=0) / counts[:, None]


def _by_group(expected: Array, keys: Axis) -> Array:
    """Attention of every query group summed over key groups: (query groups, key groups)."""
    edges = np.concatenate([[0], np.cumsum(keys.groups)])[:-1]
    return np.add.reduceat(expected, edges, axis=-1)


# --- token axes --------------------------------------------------------------------------------------


def _with_token_axis(x: Table, dim: int) -> Table:
    if x.dims[dim]:
        return single(x, dim)
    return change(x, dim, 0, Change((), (Axis((1,)),), np.array([1.0, 0.0]), np.ones(1)))


def _without_unit(x: Table, dim: int) -> Table:
    return change(x, dim, 0, Change(x.dims[dim], (), np.array([1.0, 0.0]), np.ones(1)))


def _refined_for(x: Table, dim: int, is_open: Tensor, mask_dim: int) -> Table:
    """Cut the token axis where the mask varies along it."""
    axis = x.dims[dim][0]
    length = is_open.shape[mask_dim]
    if length == 1 or bool((is_open == is_open.narrow(mask_dim, 0, 1)).all()):
        return x
    return refined(x, dim, 0, _axes.common(axis, _axes.geometric(axis.size)))


def _kernel(x: Table, token_dim: int) -> _Kernel:
    """The kernel over tokens within one head of one sample, averaged over features."""
    at = sum(len(d) for d in x.dims[:token_dim])
    second = np.moveaxis(x.second, at, -1)
    width = 1
    others = [a for i, a in enumerate(x.axes) if i != at]
    batch = sum(len(d) for d in x.dims[: len(x.dims) - 2])
    for i, axis in enumerate(others):
        second = np.tensordot(_axes.average_agreeing(axis), second, (0, 0))
        if i >= batch:
            width *= axis.size
    return _Kernel(x.axes[at], second, width)


def _embedded(second: Array, like: Table, token_dim: int) -> Array:
    """A kernel over tokens as the gradient of a table: features and heads uncorrelated."""
    at = sum(len(d) for d in like.dims[:token_dim])
    out = np.zeros_like(like.second)
    moved = np.moveaxis(out, at, -1)
    others = [a for i, a in enumerate(like.axes) if i != at]
    moved[tuple(slice(len(a.groups)) for a in others)] = second
    return out


def notes_of(function: Callable[[Scores], Scores], x: Table, out: Table) -> Table:
    """Hand the scores of x on to what was computed from it."""
    if "scores" in x.notes:
        out.notes["scores"] = function(x.notes["scores"])
    return out
