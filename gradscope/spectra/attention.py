"""Attention: the Jacobian in query, key and value together, one operator for every batch entry and key head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra._attention_gram import AttentionGram
from gradscope.spectra._attention_systems import attention_systems
from gradscope.spectra._batched import solve_many
from gradscope.spectra._generic import analyse
from gradscope.spectra._matrix import real
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, nonfinite, spectrum
from gradscope.spectra._sweep import Sweep

_DENSE = 32  # entries of one system's output, up to which its matrix is written out


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
    is_plain = is_plain and (q.ndim < 4 or heads == groups * k.shape[-3])
    if any(t is mask for t in inputs) or not is_plain or q.ndim < 3:
        return None
    if not are_finite(inputs):
        return nonfinite("lanczos")
    scale = call.kwargs.get("scale")
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    is_causal = argument(call, 5, "is_causal", False)
    is_small = groups * q.shape[-2] * v.shape[-1] <= _DENSE
    systems = attention_systems(
        *(real(t).double() if is_small else real(t) for t in operands),
        mask=mask,
        is_causal=is_causal,
        scale=scale,
        groups=groups,
    )
    dropout = argument(call, 4, "dropout_p", 0.0)
    kept = _kept(systems.weights, dropout, sweep) if dropout else None
    systems = replace(systems, inputs=tuple(_place(t, inputs) for t in operands))
    gram = AttentionGram.of(systems if kept is None else systems.with_dropout(kept))
    columns = sum(systems.sizes)
    if is_small:
        norm, gain = _dense(gram, len(systems) * columns)
    else:
        start = sweep.start(len(systems), gram.columns, like=q)
        goal = sweep.goal(coarse=6, fine=16, early=4)
        norm, gain = solve_many(gram, start, goal, columns=columns)
    if kept is not None:
        norm, gain = (replace(e, method=f"{e.method} (dropout mask drawn anew)") for e in (norm, gain))
    return spectrum(norm, gain, sum(t.numel() for t in inputs))


def _dense(gram: AttentionGram, columns: int) -> tuple[Estimate, Estimate]:
    """Spectral norm and rms gain of systems that are written out, with so many inputs together."""
    squares = torch.linalg.eigvalsh(gram.matrices()).clamp_min(0)
    return Estimate.exact(squares.max().sqrt().item()), Estimate.exact(math.sqrt(squares.sum().item() / columns))


def _kept(weights: Tensor, probability: float, sweep: Sweep) -> Tensor:
    """A dropout mask: 0 or 1 / (1 - p)."""
    uniform = torch.rand(weights.shape, generator=sweep.generator).to(weights.device)
    return (uniform >= probability).to(weights.dtype) / (1 - probability)


def _place(tensor: Tensor, inputs: Sequence[Tensor]) -> int | None:
    return next((i for i, t in enumerate(inputs) if t is tensor), None)
