"""Convolutions whose weight stays in oneDNN's own layout: a plain call converts it anew, half of its cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gradscope.spectra._lanczos import Matvec

_NEEDED = (
    "_reorder_convolution_weight",
    "_reorder_convolution_transpose_weight",
    "_convolution_pointwise",
    "_convolution_transpose_pointwise",
)


def is_available(weight: Tensor) -> bool:
    """Whether this build of torch has the kernels, and they fit a convolution with this weight."""
    is_plain = weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.ndim == 4
    is_there = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
    return is_plain and is_there and all(hasattr(torch.ops.mkldnn, name) for name in _NEEDED)


def packed_convolution(
    weight: Tensor, shape: Sequence[int], *, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> tuple[Matvec, Callable[[], Matvec]]:
    """The convolution of images (samples, channels, height, width) of this shape, and what makes its adjoint ready."""
    onednn, kernel, size = torch.ops.mkldnn, weight.shape[2:], shape[2:]
    forth = onednn._reorder_convolution_weight(weight, padding, stride, dilation, groups, list(shape))

    def matvec(v: Tensor) -> Tensor:
        return onednn._convolution_pointwise(_dense(v), forth, None, padding, stride, dilation, groups, "none", [], "")

    @cache
    def adjoint() -> Matvec:
        rows = list(zip(size, kernel, stride, padding, dilation, strict=True))
        output = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rows]
        rest = [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for m, (n, k, s, p, d) in zip(output, rows, strict=True)]
        target = [shape[0], weight.shape[0], *output]
        back = onednn._reorder_convolution_transpose_weight(weight, padding, rest, stride, dilation, groups, target)

        def rmatvec(u: Tensor) -> Tensor:
            return onednn._convolution_transpose_pointwise(
                _dense(u), back, None, padding, rest, stride, dilation, groups, "none", [], ""
            )

        return rmatvec

    return matvec, adjoint


def _dense(images: Tensor) -> Tensor:
    """Images in one of the two layouts that the kernels read."""
    return images if images.is_contiguous(memory_format=torch.channels_last) else images.contiguous()


class PackedConvolution(torch.autograd.Function):
    """A packed convolution that can be differentiated."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, matvec: Matvec, adjoint: Callable[[], Matvec]) -> Tensor:
        ctx.adjoint = adjoint
        return matvec(v)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        return ctx.adjoint()(grad_outputs[0]), None, None
