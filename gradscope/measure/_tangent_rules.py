"""Derivatives of the common torch calls, so that a tangent passes without the call being computed again.

A rule gets a recorded step and the tangents of the tensors it read at first use, and returns the map from
their tangents to those of its outputs; None: this use of the call has no rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gradscope.spectra import convolve

Incoming = list[Any]  # a tangent, or None, for each tensor that was read
Derivative = Callable[[Incoming], Any]
Rule = Callable[[Any, Incoming], Derivative | None]


def _linear_in_first(step: Any, incoming: Incoming) -> Derivative | None:
    """Calls that are linear in their first argument, the others constant: apply them to the tangent."""
    if incoming[0] is None or any(t is not None for t in incoming[1:]) or step.changed:
        return None
    function, rest, kwargs = step.function, step.args[1:], step.kwargs
    return lambda tangents: function(tangents[0], *rest, **kwargs)


def _viewed(step: Any, incoming: Incoming) -> Derivative | None:
    """A view, of tangents that may lie in memory otherwise than their tensors."""
    if incoming[0] is None or step.kwargs or isinstance(step.args[1], torch.dtype):
        return None
    shape = step.writes[0].shape
    return lambda tangents: tangents[0].reshape(shape)


def _affine(step: Any, incoming: Incoming) -> Derivative | None:
    """Linear layers and convolutions: the same call without its bias."""
    if incoming[0] is None or any(t is not None for t in incoming[1:]):
        return None
    given = {**dict(zip(("input", "weight", "bias"), step.args, strict=False)), **step.kwargs}
    weight, rest, function = given.pop("weight"), step.args[3:], step.function
    kwargs = {name: value for name, value in given.items() if name not in ("input", "bias")}
    return lambda tangents: function(tangents[0], weight, None, *rest, **kwargs)


def _convolution(step: Any, incoming: Incoming) -> Derivative | None:
    """conv2d of images by a constant weight, made ready for many tangents."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = {**dict(zip(names, step.args, strict=False)), **step.kwargs}
    x, weight = given.pop("input"), given.pop("weight").detach()
    given.pop("bias", None)
    if incoming[0] is None or any(t is not None for t in incoming[1:]):
        return None
    apply = convolve(x, weight, **given)
    return lambda tangents: apply(tangents[0])


def _max_pooled(step: Any, incoming: Incoming) -> Derivative | None:
    """max_pool2d: the tangents of the entries that won."""
    if len(incoming) != 1 or not step.args or len(step.writes) != 1:
        return None
    _, winners = F.max_pool2d_with_indices(step.args[0].detach(), *step.args[1:], **step.kwargs)
    flat = winners.flatten(-2)
    return lambda tangents: tangents[0].flatten(-2).gather(-1, flat).view(winners.shape)


def _cut(step: Any, incoming: Incoming) -> Derivative:
    """What is detached depends on nothing."""
    return lambda tangents: [None]


def _sum(sign: float) -> Rule:
    """a + alpha b, with broadcasting."""

    def rule(step: Any, incoming: Incoming) -> Derivative | None:
        is_tensor = [isinstance(a, Tensor) and a.is_floating_point() for a in step.args[:2]]
        scale = sign * step.kwargs.get("alpha", 1.0)
        shape = (step.writes or step.reads)[0].shape
        is_reversed = step.function.__name__ == "__rsub__"

        def derivative(tangents: Incoming) -> Tensor:
            left, right = tangents[0] if is_tensor[0] else None, tangents[-1] if is_tensor[-1] else None
            if is_tensor == [True, True] and len(tangents) == 1:  # the same tensor twice
                right = left
            factors = (scale, 1.0) if is_reversed else (1.0, scale)
            parts = [t * f if f != 1 else t for t, f in zip((left, right), factors, strict=True) if t is not None]
            total = parts[0] if len(parts) == 1 else parts[0] + parts[1]
            return total.expand(shape)

        return derivative if len(step.args) > 1 else None

    return rule


def _product(step: Any, incoming: Incoming) -> Derivative | None:
    """a * b and a @ b: the product rule."""
    left, right = step.args[:2]
    multiply = torch.matmul if "mat" in step.function.__name__ or "mm" in step.function.__name__ else torch.mul
    if not (isinstance(left, Tensor) and isinstance(right, Tensor)):
        return (
            (lambda tangents: tangents[0] * (right if isinstance(left, Tensor) else left)) if not step.kwargs else None
        )
    if len(incoming) != 2:
        return None

    def derivative(tangents: Incoming) -> Tensor:
        parts = []
        if tangents[0] is not None:
            parts.append(multiply(tangents[0], right))
        if tangents[1] is not None:
            parts.append(multiply(left, tangents[1]))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    return derivative


def _bias_and_product(step: Any, incoming: Incoming) -> Derivative | None:
    """addmm(bias, x, weight) with constant bias and weight."""
    if step.kwargs or len(incoming) != 3 or incoming[0] is not None or incoming[2] is not None:
        return None
    weight = step.args[2]
    return lambda tangents: tangents[1] @ weight


def _attention(step: Any, incoming: Incoming) -> Derivative | None:
    """softmax(q k^T s + mask) v, jointly in q, k and v; its weights are computed once."""
    if len(step.args) < 3:
        return None
    query, key, value = step.args[:3]
    options = {**dict(zip(("attn_mask", "dropout_p", "is_causal"), step.args[3:], strict=False)), **step.kwargs}
    if options.get("dropout_p") or options.get("enable_gqa") or len(incoming) > 4:
        return None
    scale = options.get("scale") or query.shape[-1] ** -0.5
    scores = query @ key.mT * scale
    mask = options.get("attn_mask")
    if options.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(-1).nan_to_num(0.0)  # (..., T, S); rows that are masked out attend to nothing

    def derivative(tangents: Incoming) -> Tensor:
        dq, dk, dv = tangents[:3]
        change = None
        for part in (None if dq is None else dq @ key.mT, None if dk is None else query @ dk.mT):
            change = part if change is None else change if part is None else change + part
        result = None if dv is None else weights @ dv
        if change is not None:
            change = change * weights * scale
            change = change - weights * change.sum(-1, keepdim=True)
            result = change @ value if result is None else result + change @ value
        assert result is not None, "some tangent arrives"
        return result

    return derivative


def _rectified(step: Any, incoming: Incoming) -> Derivative | None:
    """max(x, 0), told from its output, which autograd keeps unchanged as well."""
    output = step.writes[0].detach()
    return lambda tangents: torch.ops.aten.threshold_backward(tangents[0], output, 0)


def _elementwise(step: Any, incoming: Incoming) -> Derivative | None:
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


def _softmax(step: Any, incoming: Incoming) -> Derivative | None:
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


def _normalized(step: Any, incoming: Incoming) -> Derivative | None:
    """Batch and layer normalization: J = diag(gamma) S with S symmetric, so S t is a backward pass without gamma."""
    if incoming[0] is None or any(t is not None for t in incoming[1:]):
        return None
    kind = step.function.__name__
    call = {"eps": 1e-5, **dict(zip(_NORM_ARGUMENTS[kind], step.args, strict=False)), **step.kwargs}
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
        scale = (call["running_var"] + eps).rsqrt().view(per_channel)

        def symmetric(t: Tensor) -> Tensor:
            return t * scale

    if gamma is None or bool((gamma == 1).all()):
        return lambda tangents: symmetric(tangents[0])
    gamma = gamma.detach().view(per_channel) if kind == "batch_norm" else gamma.detach()
    return lambda tangents: symmetric(tangents[0]) * gamma


def _dropped(step: Any, incoming: Incoming) -> Derivative | None:
    """Dropout with the mask that the run drew, told from what became of its input."""
    if step.changed:
        return None
    before, after = step.reads[0].detach(), step.writes[0].detach()
    scale = torch.where(before == 0, torch.zeros_like(after), after / before)
    return lambda tangents: tangents[0] * scale


_LINEAR = (
    "reshape flatten unflatten squeeze unsqueeze transpose permute movedim swapaxes t contiguous clone to float "
    "double half bfloat16 expand expand_as split chunk unbind narrow select __getitem__ mean sum neg __neg__ repeat "
    "repeat_interleave avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "pad pixel_shuffle flip roll unfold cumsum index_select tril triu type_as"
)
_AFFINE = "linear conv1d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"
_ELEMENTWISE = (
    "gelu silu tanh sigmoid elu selu celu leaky_relu mish softplus hardswish hardtanh relu6 exp log sqrt rsqrt abs erf "
    "sin cos square hardsigmoid softsign logsigmoid pow __pow__ reciprocal"
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(_LINEAR.split(), _linear_in_first),
    **dict.fromkeys(_AFFINE.split(), _affine),
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), _sum(1.0)),
    **dict.fromkeys(("sub", "sub_", "__sub__", "__rsub__", "__isub__"), _sum(-1.0)),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "matmul", "__matmul__", "bmm", "mm"), _product),
    "conv2d": _convolution,
    "max_pool2d": _max_pooled,
    "detach": _cut,
    "view": _viewed,
    "softmax": _softmax,
    "addmm": _bias_and_product,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("relu", "relu_"), _rectified),
    **dict.fromkeys(("batch_norm", "layer_norm"), _normalized),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), _dropped),
}


def needs_no_inputs(name: str) -> bool:
    """Whether the derivative of a call does not depend on what it overwrites."""
    return RULES.get(name) is _rectified or name in ("add_", "__iadd__", "sub_", "__isub__", "add", "sub")
