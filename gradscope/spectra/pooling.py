"""Pooling: maxima pick entries, averages are small matrices along every dimension."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._separable import separable
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, are_finite, exact, nonfinite
from gradscope.spectra._sweep import Sweep

_MAXIMUM = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_ADAPTIVE_MAXIMUM = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)


@rule("MaxPool1d", "MaxPool2d", "MaxPool3d", "max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """Every output copies one input; σ² is how often the most popular input is copied."""
    if not data(call):
        return SOURCE
    x, d = _input(call), _dimensions(call)
    kernel = _each(_option(call, 1, "kernel_size"), d)
    stride = _each(_option(call, 2, "stride") or kernel, d)
    padding, dilation = _each(_option(call, 3, "padding", 0), d), _each(_option(call, 4, "dilation", 1), d)
    ceil = _option(call, 5, "ceil_mode", False)
    if not are_finite([x]):
        return nonfinite()
    indices = _MAXIMUM[d - 1](x, kernel, stride, padding, dilation, ceil, return_indices=True)[1]
    is_overlapping = any(k > s for k, s in zip(kernel, stride, strict=True)) or any(n > 1 for n in dilation)
    return _copies(x, indices, d, is_overlapping=is_overlapping)


@rule(
    *("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"),
    *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
)
def adaptive_max_pool(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """As max pooling, over windows that may overlap by one entry."""
    if not data(call):
        return SOURCE
    x, d = _input(call), _dimensions(call)
    if not are_finite([x]):
        return nonfinite()
    indices = _ADAPTIVE_MAXIMUM[d - 1](x, _option(call, 1, "output_size"), return_indices=True)[1]
    return _copies(x, indices, d, is_overlapping=True)


@rule("AvgPool1d", "AvgPool2d", "AvgPool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """One matrix of window averages along each dimension; a divisor override rescales them."""
    if not data(call):
        return SOURCE
    x, d = argument(call, 0, "input"), _dimensions(call)
    kernel = _each(_option(call, 1, "kernel_size"), d)
    stride = _each(_option(call, 2, "stride") or kernel, d)
    padding, ceil = _each(_option(call, 3, "padding", 0), d), _option(call, 4, "ceil_mode", False)
    with_padding = _option(call, 5, "count_include_pad", True)
    divisor = _option(call, 6, "divisor_override", None) if d > 1 else None
    rows = zip(x.shape[-d:], kernel, stride, padding, strict=True)
    if divisor:  # sums, not averages: windows that stick out are not rescaled
        matrices = [
            F.avg_pool2d(_basis(n)[:, None], (1, k), (1, s), (0, p), ceil, divisor_override=1)[:, 0].mT
            for n, k, s, p in rows
        ]
        matrices[0] = matrices[0] / divisor
    else:
        matrices = [F.avg_pool1d(_basis(n), k, s, p, ceil, with_padding).mT for n, k, s, p in rows]
    return separable(matrices, x.numel())


@rule(
    *("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
)
def adaptive_average_pool(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """As average pooling, over windows chosen by the output's size."""
    if not data(call):
        return SOURCE
    x, d = argument(call, 0, "input"), _dimensions(call)
    sizes = zip(x.shape[-d:], call.output.shape[-d:], strict=True)
    return separable([F.adaptive_avg_pool1d(_basis(n), m).mT for n, m in sizes], x.numel())


def _copies(x: Tensor, indices: Tensor, dimensions: int, *, is_overlapping: bool) -> LayerSpectrum:
    """J copies the inputs at these flat positions of every channel's image."""
    outputs = indices.numel()
    if outputs == 0:
        return exact(0.0, 0.0, x.numel())
    most = 1
    if is_overlapping:
        size = math.prod(x.shape[-dimensions:])
        for sample in indices.reshape(x.shape[0], -1, outputs // (x.numel() // size)):  # counts take memory
            offset = torch.arange(len(sample), device=x.device)[:, None] * size
            most = max(most, int(torch.bincount((sample + offset).flatten()).max()))
    return exact(math.sqrt(most), math.sqrt(outputs / x.numel()), x.numel())


def _basis(n: int) -> Tensor:
    return torch.eye(n, dtype=torch.float64)


def _dimensions(call: LayerCall) -> int:
    return int(call.op.strip("_")[-2])


def _option(call: LayerCall, index: int, name: str, default: Any = None) -> Any:
    return getattr(call.module, name, default) if call.module is not None else argument(call, index, name, default)


def _each(value: Any, dimensions: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dimensions if len(values) == 1 else values


def _input(call: LayerCall) -> Tensor:
    x: Tensor = argument(call, 0, "input")
    return x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()
