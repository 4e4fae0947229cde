"""Attention: queries, keys and values as kernels over tokens, the softmax between them by sampling one head.

Scores S = f Q K^T have E S_ts S_t's' = f^2 d Kq(t, t') Kk(s, s'). A few rows that stand for all queries are drawn
against every key, so that short causal rows, concentrated rows and correlated tokens are exact up to sampling. What
the rest of the network needs are second moments of a random matrix X (the attention A, or the gradient of the scores)
summed against kernels over keys, E sum_ss' X_ts X_t's' K(s, s'): a linear map from classes of key pairs to classes of
query pairs, built from the sums of X over groups of keys.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gradscope.predict import _axes, _partition
from gradscope.predict._axes import Array, Axis
from gradscope.predict._changes import refined
from gradscope.predict._heads import (
    Indices,
    Kernel,
    Sums,
    adjoint_of,
    applied,
    bilinear,
    independent_heads,
    key_group_sums,
    operator_of,
    representatives,
    row_group_averages,
    sums_of,
)
from gradscope.predict._table import Table, along
from gradscope.predict._tokens import (
    embedded,
    gram_spread,
    kernel_of,
    refined_for,
    source_of,
    with_token_axis,
    without_unit,
)

ENTRIES = 500_000  # of the sampled scores: sets how many heads are drawn
FEWEST, MOST = 8, 256  # heads
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
        queries = with_token_axis(scores.queries, len(scores.queries.dims) - 2)
        keys = with_token_axis(scores.keys, len(scores.keys.dims) - 1)
        if scores.is_open is not None:
            queries = refined_for(queries, len(queries.dims) - 2, scores.is_open, -2)
            keys = refined_for(keys, len(keys.dims) - 1, scores.is_open, -1)
        return cls(queries, keys, scores)

    def scaled(self, factor: float) -> Attention:
        return replace(self, factor=self.factor * factor)

    def dropped(self, probability: float) -> Attention:
        return replace(self, dropout=probability)

    # --- kernels of one head ------------------------------------------------------------------------

    @property
    def query_kernel(self) -> Kernel:
        return kernel_of(self.queries, len(self.queries.dims) - 2)

    @property
    def key_kernel(self) -> Kernel:
        return kernel_of(self.keys, len(self.keys.dims) - 1)

    @property
    def rows(self) -> Indices:
        """Queries that stand for all: a few of every group, (rows,)."""
        return representatives(self.query_kernel.axis)

    def weights(self, rng: np.random.Generator) -> Array:
        """Sampled attention of the representative queries: (samples, rows, keys)."""
        queries, keys = self.query_kernel, self.key_kernel
        if keys.axis.size > LONGEST:
            raise ValueError("more keys than are drawn")
        count = int(np.clip(ENTRIES / (len(self.rows) * keys.axis.size), FEWEST, MOST))
        scores = self.scores.factor * bilinear(queries, keys, count, rng)
        if self.scores.noise:
            scores += math.sqrt(self.scores.noise) * rng.standard_normal(scores.shape)
        if self.scores.is_open is not None:
            scores = np.where(self._open_rows(count), scores, -np.inf)
        scores -= np.where(np.isfinite(top := scores.max(-1, keepdims=True)), top, 0.0)
        weights = np.exp(scores)
        return weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)

    def _open_rows(self, count: int) -> NDArray[np.bool_]:
        """Open entries of the representative queries; masks that differ between windows or samples take turns."""
        is_open = self.scores.is_open
        assert is_open is not None
        masks = is_open.reshape(-1, *is_open.shape[-2:])
        rows = self.rows if masks.shape[-2] > 1 else np.zeros(len(self.rows), dtype=int)
        return masks[np.arange(count if masks.shape[0] > 1 else 1) % masks.shape[0]][:, rows].numpy()

    # --- with values --------------------------------------------------------------------------------

    def mix(self, attention: Table, values: Table) -> Table:
        """attention @ values, values (..., S, d)."""
        token_dim = len(values.dims) - 2
        values = with_token_axis(values, token_dim)
        keys = self.key_kernel.axis
        if values.dims[token_dim][0] != keys:
            common = _partition.common(values.dims[token_dim][0], keys)
            values = refined(values, token_dim, 0, common)
            if common != keys:
                return replace(self, keys=refined(self.keys, len(self.keys.dims) - 1, 0, common)).mix(attention, values)
        queries = self.query_kernel.axis
        at = sum(len(d) for d in values.dims[:token_dim])
        batch = values.axes[:at]
        seed = zlib.crc32(self.queries.second.tobytes() + self.keys.second.tobytes())
        weights = self.weights(np.random.default_rng(seed)) * self.factor
        sums = sums_of(weights, queries, keys)
        if self.dropout:
            sums.squares[: len(queries.groups)] /= 1.0 - self.dropout
        expected = row_group_averages(weights.mean(0), queries)
        own, other = self._operators(sums, queries, keys)
        second = applied(values.second, own, other, at, batch)
        mean = along(values.mean, key_group_sums(expected, keys), at)

        def backward(gradient: Array) -> list[Array]:
            own, other = self._operators(sums, queries, keys)
            to_values = applied(gradient, adjoint_of(own, queries, keys), adjoint_of(other, queries, keys), at, batch)
            to_queries, to_keys = self._score_gradients(gradient, values, at, seed)
            return [to_queries, to_keys, to_values]

        dims = (*values.dims[:token_dim], (queries,), *values.dims[token_dim + 1 :])
        out = Table(dims, mean, second, (self.queries, self.keys, values), backward)
        return out if queries.size > 1 else without_unit(out, token_dim)

    @staticmethod
    def _operators(sums: Sums, queries: Axis, keys: Axis) -> tuple[Array, Array]:
        """Within one head of one sample, and between different ones."""
        apart = independent_heads(sums, queries, keys)
        return operator_of(sums, queries, keys), operator_of(apart, queries, keys)

    def _score_gradients(self, gradient: Array, values: Table, at: int, seed: int) -> tuple[Array, Array]:
        """From the gradient of attention @ values to queries and keys, on the same sampled heads."""
        queries, keys = self.query_kernel, self.key_kernel
        rng = np.random.default_rng(seed)
        weights = self.weights(rng)
        value_kernel = kernel_of(values, len(values.dims) - 2)
        own = gradient[(0,) * at]
        for axis in reversed(values.axes[at + 1 :]):
            own = own @ _axes.average_agreeing(axis)
        inner = Kernel(queries.axis, own, value_kernel.width)
        received = bilinear(inner, value_kernel, weights.shape[0], rng) * self.factor
        if self.dropout:
            received *= (rng.random(received.shape) >= self.dropout) / (1.0 - self.dropout)
        change_of_scores = weights * (received - (weights * received).sum(-1, keepdims=True)) * self.scores.factor
        operator = operator_of(sums_of(change_of_scores, queries.axis, keys.axis), queries.axis, keys.axis)
        to_queries = operator @ keys.second
        groups = len(queries.axis.groups)
        to_queries[:groups] += self._shared_gram(weights, own[:groups], value_kernel, values)
        to_keys = adjoint_of(operator, queries.axis, keys.axis) @ queries.second
        dims = len(self.queries.dims)
        return embedded(to_queries, self.queries, dims - 2), embedded(to_keys, self.keys, len(self.keys.dims) - 1)

    def _shared_gram(self, weights: Array, own: Array, value_kernel: Kernel, values: Table) -> Array:
        """What keys and values made of the same tokens x add to E g^2 of the queries, by group of queries.

        The gradient sums (v_s v_s') (k_s k_s') over pairs of keys. Both products carry the realized Gram matrix of x,
        whose entries off the diagonal vary around their expectation by q / sqrt(features) in the same direction.
        """
        source = source_of(self.keys)
        if source is None or source is not source_of(values):
            return np.zeros_like(own)
        keys = self.key_kernel
        axis = keys.axis
        spread = gram_spread(source) * float(
            value_kernel.second @ _axes.average_agreeing(axis) * (keys.second @ _axes.average_agreeing(axis))
        )
        squares = (weights**2).sum(-1).mean(0)
        pairs = row_group_averages((1.0 - squares)[:, None], self.query_kernel.axis)[:, 0]
        return pairs * own * value_kernel.width * spread * (self.factor * self.scores.factor) ** 2
