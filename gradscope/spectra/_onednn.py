"""Convolutions whose weight stays in oneDNN's own layout: a plain call converts it anew, half of its cost."""

from __future__ import annotations

from collections.abc import Sequence

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
    weight: Tensor, size: Sequence[int], *, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> tuple[Matvec, Matvec]:
    """The convolution of one image (1, channels, *size) and its adjoint."""
    onednn, kernel = torch.ops.mkldnn, weight.shape[2:]
    rows = list(zip(size, kernel, stride, padding, dilation, strict=True))
    output = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rows]
    rest = [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for m, (n, k, s, p, d) in zip(output, rows, strict=True)]
    target = [1, weight.shape[0], *output]
    matvec = packed_forward(
        weight,
        [1, weight.shape[1] * groups, *size],
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    back = onednn._reorder_convolution_transpose_weight(weight, padding, rest, stride, dilation, groups, target)

    def rmatvec(u: Tensor) -> Tensor:
        return onednn._convolution_transpose_pointwise(
            u, back, None, padding, rest, stride, dilation, groups, "none", [], ""
        )

    return matvec, rmatvec


def packed_forward(
    weight: Tensor, shape: Sequence[int], *, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Matvec:
    """The convolution of images of this shape, (samples, channels, height, width), without a bias."""
    onednn = torch.ops.mkldnn
    packed = onednn._reorder_convolution_weight(weight, padding, stride, dilation, groups, list(shape))

    def matvec(v: Tensor) -> Tensor:
        return onednn._convolution_pointwise(v, packed, None, padding, stride, dilation, groups, "none", [], "")

    return matvec
