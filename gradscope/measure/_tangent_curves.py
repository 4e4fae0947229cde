"""Derivatives of the common torch calls that are not linear, at the point of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gradscope.measure._masks import drawing_from

Incoming = list[Any]  # a tangent, or None, for each tensor that was read
Derivative = Callable[[Incoming], Any]
Rule = Callable[[Any, Incoming], Derivative | None]


def max_pooled(step: Any, incoming: Incoming) -> Derivative | None:
    """max_pool2d: the tangents of the entries that won."""
    if len(incoming) != 1 or not step.args or len(step.writes) != 1:
        return None
    _, winners = F.max_pool2d_with_indices(step.args[0].detach(), *step.args[1:], **step.kwargs)
    flat = winners.flatten(-2)
    return lambda tangents: tangents[0].flatten(-2).gather(-1, flat).view(winners.shape)


def attention(step: Any, incoming: Incoming) -> Derivative | None:
    """softmax(q k^T s + mask) v, jointly in q, k and v; its weights are computed once."""
    if len(step.args) < 3:
        return None
    query, key, value = step.args[:3]
    options = {**dict(zip(("attn_mask", "dropout_p", "is_causal"), step.args[3:], strict=False)), **step.kwargs}
    dropout = options.get("dropout_p")
    if options.get("enable_gqa") or len(incoming) > 4 or (dropout and step.state is None):
        return None
    scale = options.get("scale") or query.shape[-1] ** -0.5
    scores = query @ key.mT * scale
    mask = options.get("attn_mask")
    if options.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(-1).nan_to_num(0.0)  # (..., T, S); rows that are masked out attend to nothing
    kept = None
    if dropout:
        with drawing_from(step.state, query.device):
            kept = F.dropout(torch.ones_like(weights), dropout)
    mixing = weights if kept is None else weights * kept

    def derivative(tangents: Incoming) -> Tensor:
        dq, dk, dv = tangents[:3]
        change = None
        for part in (None if dq is None else dq @ key.mT, None if dk is None else query @ dk.mT):
            change = part if change is None else change if part is None else change + part
        result = None if dv is None else mixing @ dv
        if change is not None:
            change = change * weights * scale
            change = change - weights * change.sum(-1, keepdim=True)
            change = change if kept is None else change * kept
            result = change @ value if result is None else result + change @ value
        assert result is not None, "some tangent arrives"
        return result

    return derivative


def rectified(step: Any, incoming: Incoming) -> Derivative | None:
    """max(x, 0), told from its output, which autograd keeps unchanged as well."""
    output = step.writes[0].detach()
    return lambda tangents: torch.ops.aten.threshold_backward(tangents[0], output, 0)


def elementwise(step: Any, incoming: Incoming) -> Derivative | None:
    """Functions of one entry at a time: the derivative of each entry is taken once."""
    if step.changed or len(incoming) != 1:
        return None
    with torch.enable_grad():
        leaf = step.reads[0].detach().requires_grad_()
        output = step.function(leaf, *step.args[1:], **step.kwargs)
    if not isinstance(output, Tensor) or output.shape != leaf.shape:
        return None
    (slope,) = torch.autograd.grad(output, leaf, torch.ones_like(output))
    return lambda tangents: tangents[0] * slope


def softmax(step: Any, incoming: Incoming) -> Derivative | None:
    """softmax: J = diag(p) - p p^T is symmetric, so J t is its backward pass."""
    options = {**dict(zip(("input", "dim"), step.args, strict=False)), **step.kwargs}
    if options.get("dim") is None or options.get("dtype") is not None:
        return None
    output = step.writes[0].detach()
    return lambda tangents: torch.ops.aten._softmax_backward_data(tangents[0], output, options["dim"], output.dtype)


_NORM_ARGUMENTS = {
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
}


def channel_scale(step: Any) -> Tensor | None:
    """What a batch norm multiplies each channel with; None where that depends on the batch."""
    call = _normalization(step)
    if call.get("training") or call.get("running_var") is None:
        return None
    scale = (call["running_var"] + call["eps"]).rsqrt()
    return scale if call.get("weight") is None else scale * call["weight"]


def _normalization(step: Any) -> dict[str, Any]:
    names = _NORM_ARGUMENTS[step.function.__name__]
    return {"eps": 1e-5, **dict(zip(names, step.args, strict=False)), **step.kwargs}


def normalized(step: Any, incoming: Incoming) -> Derivative | None:
    """Batch and layer normalization: J = diag(gamma) S with S symmetric, so S t is a backward pass without gamma."""
    if incoming[0] is None or any(t is not None for t in incoming[1:]):
        return None
    kind, call = step.function.__name__, _normalization(step)
    x, eps, gamma = call["input"].detach(), call["eps"], call.get("weight")
    per_channel = (-1, *[1] * (x.ndim - 2))
    only_input = [True, False, False]
    if kind == "layer_norm":
        shape = list(call["normalized_shape"])
        _, mean, scale = torch.ops.aten.native_layer_norm(x, shape, None, None, eps)

        def symmetric(t: Tensor) -> Tensor:
            return torch.ops.aten.native_layer_norm_backward(t, x, shape, mean, scale, None, None, only_input)[0]

    elif call.get("training"):
        _, mean, scale = torch.ops.aten.native_batch_norm(x, None, None, None, None, True, 0.0, eps)

        def symmetric(t: Tensor) -> Tensor:
            return torch.ops.aten.native_batch_norm_backward(
                t, x, None, None, None, mean, scale, True, eps, only_input
            )[0]

    else:
        factor = channel_scale(step)
        assert factor is not None, "statistics are stored"
        factor = factor.detach().view(per_channel)
        return lambda tangents: tangents[0] * factor

    if gamma is None or bool((gamma == 1).all()):
        return lambda tangents: symmetric(tangents[0])
    gamma = gamma.detach().view(per_channel) if kind == "batch_norm" else gamma.detach()
    return lambda tangents: symmetric(tangents[0]) * gamma


def dropped(step: Any, incoming: Incoming) -> Derivative | None:
    """Dropout with the mask that the run drew."""
    if step.state is None or not step.args:
        return None
    x, *rest = step.args
    with drawing_from(step.state, x.device):
        scale = step.function(torch.ones_like(x), *rest, **step.kwargs)
    return lambda tangents: tangents[0] * scale
