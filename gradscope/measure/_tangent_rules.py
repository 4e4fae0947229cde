"""Derivatives of the common torch calls, so that a tangent passes without the call being computed again.

A rule gets a recorded step and the tangents of the tensors it read at first use, and returns the map from
their tangents to those of its outputs; None: this use of the call has no rule.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gradscope.measure._tangent_curves import (
    Derivative,
    Incoming,
    Rule,
    attention,
    channel_scale,
    dropped,
    elementwise,
    max_pooled,
    normalized,
    rectified,
    softmax,
)
from gradscope.spectra import convolve


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


_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


def _convolution(step: Any, incoming: Incoming) -> Derivative | None:
    """conv2d of images by a constant weight, made ready for many tangents."""
    given = {**dict(zip(_CONVOLUTION, step.args, strict=False)), **step.kwargs}
    x, weight = given.pop("input"), given.pop("weight").detach()
    given.pop("bias", None)
    if incoming[0] is None or any(t is not None for t in incoming[1:]):
        return None
    apply = convolve(x, weight, **given)
    return lambda tangents: apply(tangents[0])


def scaled_convolution(step: Any, scaling: Any) -> dict[str, Any] | None:
    """Arguments of the one convolution, without bias, that a conv2d and a batch norm of stored statistics are."""
    if step.function.__name__ != "conv2d" or scaling.function.__name__ != "batch_norm":
        return None
    given = {**dict(zip(_CONVOLUTION, step.args, strict=False)), **step.kwargs}
    scale, weight = channel_scale(scaling), given["weight"]
    if scale is None or any(t.grad_fn is not None for t in (*step.reads[1:], *scaling.reads[1:])):
        return None  # what is computed may depend on the input
    return {**given, "weight": weight.detach() * scale.detach().view(-1, 1, 1, 1), "bias": None}


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
    **dict.fromkeys(_ELEMENTWISE.split(), elementwise),
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), _sum(1.0)),
    **dict.fromkeys(("sub", "sub_", "__sub__", "__rsub__", "__isub__"), _sum(-1.0)),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "matmul", "__matmul__", "bmm", "mm"), _product),
    "conv2d": _convolution,
    "max_pool2d": max_pooled,
    "detach": _cut,
    "view": _viewed,
    "softmax": softmax,
    "addmm": _bias_and_product,
    "scaled_dot_product_attention": attention,
    **dict.fromkeys(("relu", "relu_"), rectified),
    **dict.fromkeys(("batch_norm", "layer_norm"), normalized),
    **dict.fromkeys(("dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d"), dropped),
}


def needs_no_inputs(name: str) -> bool:
    """Whether the derivative of a call does not depend on what it overwrites."""
    return RULES.get(name) is rectified or name in ("add_", "__iadd__", "sub_", "__isub__", "add", "sub")
