"""The Jacobians of all heads of one attention, applied together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_CACHE = 250_000  # attention weights, 1 MB of them, that are worked on at a time

_REPAID = 6  # times the value's width: up to so many queries one product with the weights is worth a few fewer


@dataclass(frozen=True, slots=True)
class AttentionSystems:
    """One operator for every batch entry and key head: from its query, key and value to its output.

    Attributes:
        query: (systems, T, d), the queries of all heads that share a key head one below the other; key:
            (systems, S, d); value: (systems, S, e).
        weights: attention weights P, (systems, T, S).
        scale: factor s of the scores.
        kept: dropout mask D on the weights, of their shape; None without.
        inputs: which part of the vector is the query, the key and the value: equal for one tensor passed twice,
            None for a constant.
        mixing: (D∘P)(D∘P)ᵀ, what J Jᵀ has from the value, (systems, T, T); None where it is not prepared.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    scale: float
    inputs: tuple[int | None, ...] = (0, 1, 2)
    kept: Tensor | None = None
    mixing: Tensor | None = None

    def sizes(self) -> list[int]:
        """Entries of every part of the vector, for one system."""
        operands = {i: t[0].numel() for i, t in zip(self.inputs, (self.query, self.key, self.value), strict=True)}
        return [operands[i] for i in sorted(i for i in operands if i is not None)]

    @property
    def columns(self) -> int:
        """Entries of the vectors of `gram`: of the output, or of the inputs where these have fewer."""
        return min(self._ends)

    @property
    def rows(self) -> int:
        """Entries of the vectors in between."""
        return max(self._ends)

    @property
    def _ends(self) -> tuple[int, int]:
        return sum(self.sizes()), self.query.shape[1] * self.value.shape[2]

    def matvec(self, v: Tensor) -> Tensor:
        """J v of every system, (systems, T e)."""
        return torch.cat([part._forward(v[rows]) for part, rows in self._parts()])

    def rmatvec(self, u: Tensor) -> Tensor:
        """Jᵀ u of every system."""
        return torch.cat([part._backward(u[rows]) for part, rows in self._parts()])

    def gram(self, v: Tensor) -> Tensor:
        """J Jᵀ v of every system, or JᵀJ v: what the first product writes is still in the cache for the second."""
        inputs, outputs = self._ends
        parts = self._parts()
        if inputs < outputs:
            return torch.cat([part._backward(part._forward(v[rows])) for part, rows in parts])
        return torch.cat([part._outer(v[rows]) for part, rows in parts])

    def prepared(self) -> AttentionSystems:
        """Ready for many products: those with the value become one, where that pays within a few of them."""
        inputs, outputs = self._ends
        is_apart = self.inputs[2] is not None and self.inputs.count(self.inputs[2]) == 1
        if not is_apart or inputs < outputs or self.query.shape[1] > _REPAID * self.value.shape[2]:
            return self
        weights = self._dropped(self.weights)
        return replace(self, mixing=torch.bmm(weights, weights.mT))

    def _outer(self, u: Tensor) -> Tensor:
        """J Jᵀ u."""
        if self.mixing is None:
            return self._forward(self._backward(u))
        of_scores = replace(self, inputs=(*self.inputs[:2], None))
        u = u.view(*self.query.shape[:2], -1)
        if not of_scores.sizes():
            return torch.bmm(self.mixing, u).flatten(1)
        out = of_scores._forward(of_scores._backward(u))
        return out.view_as(u).baddbmm_(self.mixing, u).flatten(1)

    def keep(self, rows: Tensor | slice) -> AttentionSystems:
        """Only these systems."""
        query, key, value, weights = (t[rows] for t in (self.query, self.key, self.value, self.weights))
        kept, mixing = (None if t is None else t[rows] for t in (self.kept, self.mixing))
        return replace(self, query=query, key=key, value=value, weights=weights, kept=kept, mixing=mixing)

    def _parts(self) -> Iterator[tuple[AttentionSystems, slice]]:
        """As many systems at a time as a CPU's cache holds; all on other devices."""
        count = len(self.weights)
        size = max(1, _CACHE // self.weights[0].numel()) if self.weights.device.type == "cpu" else count
        for at in range(0, count, size):
            rows = slice(at, at + size)
            yield (self if size >= count else self.keep(rows)), rows

    def _operands(self, vector: Tensor) -> list[Tensor | None]:
        """The parts of a vector that belong to the query, the key and the value, as views of their shapes."""
        parts = vector.split(self.sizes(), 1)
        return [
            None if i is None else parts[i].view(t.shape)
            for i, t in zip(self.inputs, (self.query, self.key, self.value), strict=True)
        ]

    def _forward(self, v: Tensor) -> Tensor:
        """dO = D∘P dV + D∘A V with A = s (dQ Kᵀ + Q dKᵀ)∘P minus P times its row sums."""
        dq, dk, dv = self._operands(v)
        scores = None if dq is None else torch.bmm(dq, self.key.mT)
        if dk is not None:
            scores = torch.bmm(self.query, dk.mT) if scores is None else scores.baddbmm_(self.query, dk.mT)
        out = None if dv is None else torch.bmm(self._dropped(self.weights), dv)
        if scores is not None:
            inner = self._dropped(self._softmax_jacobian(scores))
            out = torch.bmm(inner, self.value) if out is None else out.baddbmm_(inner, self.value)
        assert out is not None, "some operand varies"
        return out.flatten(1)

    def _backward(self, u: Tensor) -> Tensor:
        """The adjoint: dV = (D∘P)ᵀ U, and the scores' gradient goes to the query and the key."""
        u = u.view(*self.query.shape[:2], -1)
        out = u.new_empty(len(u), sum(self.sizes()))
        dq, dk, dv = self._operands(out)
        written: set[int | None] = set()

        def write(gradient: Tensor | None, operand: int, left: Tensor, right: Tensor) -> None:
            if gradient is not None:
                gradient.baddbmm_(left, right, beta=int(self.inputs[operand] in written))
                written.add(self.inputs[operand])

        if dq is not None or dk is not None:
            inner = self._softmax_jacobian(self._dropped(torch.bmm(u, self.value.mT)))
            write(dq, 0, inner, self.key)
            write(dk, 1, inner.mT, self.query)
        write(dv, 2, self._dropped(self.weights).mT, u)
        return out

    def _dropped(self, weights: Tensor) -> Tensor:
        return weights if self.kept is None else weights * self.kept

    def _softmax_jacobian(self, scores: Tensor) -> Tensor:
        """s (diag P - P Pᵀ) applied to every row, in place: it is its own adjoint."""
        scores.mul_(self.weights)
        total = scores.sum(-1, keepdim=True)
        return scores.addcmul_(self.weights, total, value=-1).mul_(self.scale)


def attention_systems(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None,
    is_causal: bool,
    scale: float,
    groups: int = 1,
) -> AttentionSystems:
    """The systems of one attention, with its weights.

    Args:
        query: (..., heads, T, d); `key`: (..., heads / groups, S, d); `value`: (..., heads / groups, S, e).
        mask: boolean (True attends) or added to the scores, broadcastable to (..., heads, T, S).
        is_causal: whether query i sees the keys up to i only.
        scale: factor of the scores.
        groups: query heads for every key head.
    """
    *lead, length, width = query.shape
    key, value = (t.reshape(-1, *t.shape[-2:]) for t in (key, value))
    query = query.reshape(len(key), groups * length, width)
    scores = torch.bmm(query, key.mT).mul_(scale).view(*lead, length, key.shape[1])
    if is_causal:
        mask = torch.ones(length, key.shape[1], dtype=torch.bool, device=query.device).tril()
    if mask is not None and mask.dtype == torch.bool:
        scores.masked_fill_(~mask, -math.inf)
    elif mask is not None:
        scores += mask.detach()
    weights = scores.softmax(-1).nan_to_num_(0.0)  # a query that may see nothing gets zeros
    return AttentionSystems(query, key, value, weights.view(len(key), groups * length, -1), scale)
