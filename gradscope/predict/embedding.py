"""Look-ups of rows by index: equal indices give equal rows."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from gradscope.predict._rules import Call, NoRule, rule
from gradscope.predict._table import Array, Table, axes_of
from gradscope.predict._view import single


@rule("embedding")
def embedding(call: Call) -> Table:
    """Rows of a table by constant indices."""
    weight, indices = call.args[:2]
    if indices.value is None:
        raise NoRule("indices that depend on data")
    out = looked_up(weight, indices.value)
    out.is_initial = False
    return out


def looked_up(weight: Table, indices: Tensor) -> Table:
    """weight[indices]: rows are alike where their indices are equal.

    Raises:
        NoRule: the rows are not exchangeable.
    """
    weight = single(weight, 0)
    rows, columns = weight.dims[0], tuple(a for d in weight.dims[1:] for a in d)
    if rows and not rows[0].is_exchangeable:
        raise NoRule("a look-up in rows that differ")
    dims = axes_of(indices.shape)
    same = _coincidence(indices)
    agree, differ = (weight.second[0], weight.second[1]) if rows else (weight.second, weight.second)
    same = same.reshape(same.shape + (1,) * len(columns))
    second = same * agree + (1 - same) * differ
    mean = np.broadcast_to(
        weight.mean[0] if rows else weight.mean, (1,) * (same.ndim - len(columns)) + agree_shape(weight)
    )
    size = weight.shape[0]

    def backward(gradient: Array) -> list[Array]:
        # Every look-up adds its gradient to its row: their sum over all look-ups, spread over the rows.
        out = np.zeros_like(weight.second)
        agreeing = gradient[(0,) * (same.ndim - len(columns))]
        out[0] = agreeing * indices.numel() / size
        return [out]

    return Table((*dims, *weight.dims[1:]), mean, second, (weight,), backward if rows else None)


def agree_shape(weight: Table) -> tuple[int, ...]:
    """Groups of every axis but the rows."""
    return weight.mean.shape[1:] if weight.dims[0] else weight.mean.shape


def _coincidence(indices: Tensor) -> Array:
    """How often two indices are equal, by agreement of their positions: (2,) * dimensions longer than 1."""
    indices = indices.detach().reshape([n for n in indices.shape if n > 1])
    ndim = indices.ndim
    pairs = np.zeros((2,) * ndim)
    for fixed in itertools.product((True, False), repeat=ndim):
        pairs[tuple(0 if f else 1 for f in fixed)] = _equal_pairs(indices, [d for d in range(ndim) if fixed[d]])
    counts = np.zeros((2,) * ndim)
    for fixed in itertools.product((True, False), repeat=ndim):
        counts[tuple(0 if f else 1 for f in fixed)] = float(
            np.prod([n if f else n * n for n, f in zip(indices.shape, fixed, strict=True)])
        )
    for axis in range(ndim):  # "any" includes "agree"; what is left are pairs that differ
        for array in (pairs, counts):
            np.moveaxis(array, axis, 0)[1] -= np.moveaxis(array, axis, 0)[0]
    return pairs / np.maximum(counts, 1.0)


def _equal_pairs(indices: Tensor, fixed: list[int]) -> float:
    """Number of ordered pairs with equal indices that agree on the dimensions `fixed`."""
    free = [d for d in range(indices.ndim) if d not in fixed]
    rows = indices.permute(*fixed, *free).reshape(int(np.prod([indices.shape[d] for d in fixed] or [1])), -1)
    tagged = rows.long() + torch.arange(rows.shape[0])[:, None] * (int(rows.max()) + 1 if rows.numel() else 1)
    return float(tagged.flatten().unique(return_counts=True)[1].double().square().sum())
