"""The Jacobians of all heads of one attention, applied together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class AttentionSystems:
    """One operator for every batch entry and key head: from its query, key and value to its output.

    Attributes:
        query: (systems, T, d), the queries of all heads that share a key head one below the other; key:
            (systems, S, d); both times the factor of the scores, as derivatives by the other have it.
        value: (systems, S, e).
        weights: attention weights P, (systems, T, S).
        output: O = (D∘P) V, (systems, T, e).
        inputs: which part of the vector is the query, the key and the value: equal for one tensor passed twice,
            None for a constant.
        kept: dropout mask D on the weights, of their shape; None without.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    output: Tensor
    inputs: tuple[int | None, ...] = (0, 1, 2)
    kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def sizes(self) -> list[int]:
        """Entries of every part of the vector, for one system."""
        operands = {i: t[0].numel() for i, t in zip(self.inputs, (self.query, self.key, self.value), strict=True)}
        return [operands[i] for i in sorted(i for i in operands if i is not None)]

    def matvec(self, v: Tensor) -> Tensor:
        """J v of every system, (systems, T e): dO = (D∘P) dV + (D∘A) V - a O.

        A = P∘(dQ Kᵀ + Q dKᵀ) without the sums a of its rows: the derivative of a softmax is P∘X less P times those.
        """
        dq, dk, dv = self._operands(v)
        scores = None if dq is None else torch.bmm(dq, self.key.mT)
        if dk is not None:
            scores = torch.bmm(self.query, dk.mT) if scores is None else scores.baddbmm_(self.query, dk.mT)
        out = None if dv is None else torch.bmm(self.dropped(self.weights), dv)
        if scores is not None:
            scores.mul_(self.weights)
            total = scores.sum(-1, keepdim=True)
            moved = self.dropped(scores)
            out = torch.bmm(moved, self.value) if out is None else out.baddbmm_(moved, self.value)
            out.addcmul_(self.output, total, value=-1)
        assert out is not None, "some operand varies"
        return out.flatten(1)

    def rmatvec(self, u: Tensor) -> Tensor:
        """Jᵀ u of every system: dV = (D∘P)ᵀ U, and the scores' gradient goes to the query and the key.

        That gradient is P∘(D∘U Vᵀ) less P times the sums of its rows, which are the products of the rows of U and O.
        """
        u = u.view_as(self.output)
        out = u.new_empty(len(u), sum(self.sizes))
        dq, dk, dv = self._operands(out)
        written: set[int | None] = set()

        def write(gradient: Tensor | None, operand: int, left: Tensor, right: Tensor) -> None:
            if gradient is not None:
                gradient.baddbmm_(left, right, beta=int(self.inputs[operand] in written))
                written.add(self.inputs[operand])

        if dq is not None or dk is not None:
            total = torch.linalg.vecdot(u, self.output)[:, :, None]
            gradient = self.dropped(torch.bmm(u, self.value.mT)).sub_(total).mul_(self.weights)
            write(dq, 0, gradient, self.key)
            write(dk, 1, gradient.mT, self.query)
        write(dv, 2, self.dropped(self.weights).mT, u)
        return out

    def keep(self, rows: Tensor | slice) -> AttentionSystems:
        """Only these systems."""
        query, key, value, weights, output = (
            t[rows] for t in (self.query, self.key, self.value, self.weights, self.output)
        )
        kept = None if self.kept is None else self.kept[rows]
        return AttentionSystems(query, key, value, weights, output, self.inputs, kept)

    def with_dropout(self, kept: Tensor) -> AttentionSystems:
        """The same under a dropout mask."""
        return replace(self, kept=kept, output=torch.bmm(self.weights * kept, self.value))

    def dropped(self, weights: Tensor) -> Tensor:
        """D times them."""
        return weights if self.kept is None else weights * self.kept

    def _operands(self, vector: Tensor) -> list[Tensor | None]:
        """The parts of a vector that belong to the query, the key and the value, as views of their shapes."""
        parts = vector.split(self.sizes, 1)
        return [
            None if i is None else parts[i].view(t.shape)
            for i, t in zip(self.inputs, (self.query, self.key, self.value), strict=True)
        ]


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
    query = query.reshape(len(key), groups * length, width) * scale
    scores = torch.bmm(query, key.mT).view(*lead, length, key.shape[1])
    if is_causal:
        mask = torch.ones(length, key.shape[1], dtype=torch.bool, device=query.device).tril()
    if mask is not None and mask.dtype == torch.bool:
        scores.masked_fill_(~mask, -math.inf)
    elif mask is not None:
        scores += mask.detach()
    weights = scores.softmax(-1)
    if mask is not None:
        weights.nan_to_num_(0.0)  # a query that may see nothing gets zeros
    weights = weights.view(len(key), groups * length, -1)
    return AttentionSystems(query, key * scale, value, weights, torch.bmm(weights, value))
