"""Attention: the Jacobian in query, key and value together, one operator for every batch entry and key head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._batched import Adjoint, solve_many
from gradscope.spectra._generic import analyse
from gradscope.spectra._matrix import real
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep

_CACHE = 250_000  # attention weights, 1 MB of them, that are worked on at a time


@rule("MultiheadAttention")
def multihead(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """The module's first output; the averaged weights it may return are not part of the signal."""
    return analyse(call, sweep, select=lambda output: output[0])


@rule("scaled_dot_product_attention")
def scaled_dot_product(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """softmax(s QKᵀ + mask) V with the mask of this call.

    Dropout inside the kernel leaves no trace in the output, so its mask is drawn anew. A mask that is computed from
    the input and operands with different batch dimensions go the generic way.
    """
    q, k, v = operands = [argument(call, i, name) for i, name in enumerate(("query", "key", "value"))]
    inputs = data(call)
    if not inputs:
        return SOURCE
    mask = argument(call, 3, "attn_mask")
    heads = q.shape[-3] if q.ndim > 3 else 1
    groups = heads // k.shape[-3] if call.kwargs.get("enable_gqa") and q.ndim > 3 else 1
    is_plain = k.shape[:-2] == v.shape[:-2] and q.shape[:-3] == k.shape[:-3] and q.shape[0] == k.shape[0]
    if any(t is mask for t in inputs) or not is_plain or q.ndim < 3:
        return None
    if not are_finite(inputs):
        return nonfinite("lanczos")
    scale = call.kwargs.get("scale") or q.shape[-1] ** -0.5
    is_causal = argument(call, 5, "is_causal", False)
    systems = attention_systems(
        *(real(t) for t in operands), mask=mask, is_causal=is_causal, scale=scale, groups=groups
    )
    dropout = argument(call, 4, "dropout_p", 0.0)
    kept = _kept(systems.weights, dropout, sweep) if dropout else None
    systems = replace(systems, kept=kept, inputs=tuple(_place(t, inputs) for t in operands))
    columns, rows = sum(systems.sizes()), systems.query.shape[1] * systems.value.shape[2]
    start = sweep.start(len(systems.weights), min(columns, rows), like=q)
    sides = systems if columns <= rows else Adjoint(systems)
    norm, gain = solve_many(sides, start, sweep.goal(coarse=6, fine=16, early=4), columns=columns)
    if kept is not None:
        norm, gain = (replace(e, method=f"{e.method} (dropout mask drawn anew)") for e in (norm, gain))
    return spectrum(norm, gain, sum(t.numel() for t in inputs))


def _kept(weights: Tensor, probability: float, sweep: Sweep) -> Tensor:
    """A dropout mask: 0 or 1 / (1 - p)."""
    uniform = torch.rand(weights.shape, generator=sweep.generator).to(weights.device)
    return (uniform >= probability).to(weights.dtype) / (1 - probability)


def _place(tensor: Tensor, inputs: Sequence[Tensor]) -> int | None:
    return next((i for i, t in enumerate(inputs) if t is tensor), None)


@dataclass(frozen=True, slots=True)
class AttentionSystems:
    """The Jacobians of several heads at once.

    Attributes:
        query: (systems, T, d), the queries of all heads that share a key head one below the other; key:
            (systems, S, d); value: (systems, S, e).
        weights: attention weights P, (systems, T, S).
        scale: factor s of the scores.
        kept: dropout mask D on the weights, of their shape; None without.
        inputs: which part of the vector is the query, the key and the value: equal for one tensor passed twice,
            None for a constant.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    scale: float
    inputs: tuple[int | None, ...] = (0, 1, 2)
    kept: Tensor | None = None

    def sizes(self) -> list[int]:
        """Entries of every part of the vector, for one system."""
        operands = {i: t[0].numel() for i, t in zip(self.inputs, (self.query, self.key, self.value), strict=True)}
        return [operands[i] for i in sorted(i for i in operands if i is not None)]

    def matvec(self, v: Tensor) -> Tensor:
        """J v of every system, (systems, T e)."""
        return torch.cat([part._forward(x) for part, x in self._parts(v)])

    def rmatvec(self, u: Tensor) -> Tensor:
        """Jᵀ u of every system."""
        return torch.cat([part._backward(x) for part, x in self._parts(u)])

    def keep(self, rows: Tensor | slice) -> AttentionSystems:
        """Only these systems."""
        query, key, value, weights = (t[rows] for t in (self.query, self.key, self.value, self.weights))
        kept = None if self.kept is None else self.kept[rows]
        return replace(self, query=query, key=key, value=value, weights=weights, kept=kept)

    def _parts(self, vectors: Tensor) -> Iterator[tuple[AttentionSystems, Tensor]]:
        """As many systems at a time as a CPU's cache holds; all on other devices."""
        count = len(self.weights)
        size = max(1, _CACHE // self.weights[0].numel()) if self.weights.device.type == "cpu" else count
        for at in range(0, count, size):
            rows = slice(at, at + size)
            yield (self if size >= count else self.keep(rows)), vectors[rows]

    def _forward(self, v: Tensor) -> Tensor:
        """dO = D∘P dV + D∘A V with A = s (dQ Kᵀ + Q dKᵀ)∘P minus P times its row sums."""
        parts = v.split(self.sizes(), 1)
        dq, dk, dv = (
            None if i is None else parts[i].view_as(t)
            for i, t in zip(self.inputs, (self.query, self.key, self.value), strict=True)
        )
        out = None if dv is None else torch.bmm(self._dropped(self.weights), dv)
        scores = None
        if dq is not None and dk is not None:
            scores = torch.bmm(torch.cat((dq, self.query), 2), torch.cat((self.key, dk), 2).mT)
        elif dq is not None:
            scores = torch.bmm(dq, self.key.mT)
        elif dk is not None:
            scores = torch.bmm(self.query, dk.mT)
        if scores is not None:
            inner = self._dropped(self._softmax_jacobian(scores))
            out = torch.bmm(inner, self.value) if out is None else out.baddbmm_(inner, self.value)
        assert out is not None
        return out.flatten(1)

    def _backward(self, u: Tensor) -> Tensor:
        """The adjoint: dV = Pᵀ U, and the scores' gradient goes to the query and the key."""
        u = u.view(*self.query.shape[:2], -1)
        gradients: dict[int, Tensor] = {}
        q_at, k_at, v_at = self.inputs
        if v_at is not None:
            gradients[v_at] = torch.bmm(self._dropped(self.weights).mT, u)
        if q_at is not None or k_at is not None:
            inner = self._softmax_jacobian(self._dropped(torch.bmm(u, self.value.mT)))
            for at, gradient in (
                (q_at, lambda: torch.bmm(inner, self.key)),
                (k_at, lambda: torch.bmm(inner.mT, self.query)),
            ):
                if at is not None:
                    gradients[at] = gradients[at] + gradient() if at in gradients else gradient()
        return torch.cat([gradients[i].flatten(1) for i in sorted(gradients)], 1)

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
