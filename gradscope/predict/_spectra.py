"""Singular values of a layer's Jacobian from random-matrix theory, and its rms gain from the tables."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from gradscope.predict._distribution import Distribution
from gradscope.predict._flow import pulled
from gradscope.predict._grid import grid
from gradscope.predict._layers import Layer
from gradscope.schema import Estimate

_SAMPLED = "scaled_dot_product_attention"  # its gradient is sampled anew for every cotangent: too slow for one number
METHOD = "random-matrix theory"
Drawn = Callable[[Tensor], Distribution | None]


def rms_gain(layer: Layer) -> Estimate | None:
    """sqrt(||J||_F^2 / n) over the n entries of the layer's inputs; None for a source."""
    if layer.table is None or not layer.sources or layer.kind == "input" or layer.op == _SAMPLED:
        return None
    if any(source is layer.table for source in layer.sources):
        return Estimate.exact(1.0, "mean-field")
    squares = pulled(layer.table, layer.sources)
    if squares is None:
        return None
    columns = sum({id(s): s.size for s in layer.sources}.values())
    return Estimate.exact(math.sqrt(squares / columns), "mean-field")


def spectral_norm(layer: Layer, drawn: Drawn) -> Estimate | None:
    """The largest singular value, for the layers it is known of; None for the others."""
    module = layer.module
    if module is None or layer.table is None:
        return None
    is_matrix = isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"  # Hugging Face's transposed one
    if is_matrix and isinstance(module.weight, Tensor):
        return _matrix(module.weight, drawn, *module.weight.shape)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and module.groups == 1:
        taps, stride = math.prod(module.kernel_size), math.prod(module.stride)
        return _matrix(module.weight, drawn, module.out_channels / stride, module.in_channels, taps)
    if layer.table.role == "function" and layer.table.lineage is not None:
        return _slope(layer)
    return None


def _matrix(weight: Tensor, drawn: Drawn, rows: float, columns: float, taps: int = 1) -> Estimate | None:
    """sigma sqrt(taps) (sqrt rows + sqrt columns), with the Tracy-Widom width of the largest eigenvalue.

    Bai & Yin 1988; Johnstone 2001 for the width. A convolution with k taps is one such matrix per frequency, so its
    norm is the largest over many: the upper end is widened.
    """
    distribution = drawn(weight)
    if distribution is None or distribution.second_moment == 0:
        return None if distribution is None else Estimate.exact(0.0, METHOD)
    if distribution.family == "orthogonal":
        norm = math.sqrt(distribution.second_moment * max(rows, columns) * taps)
        return Estimate.exact(norm, METHOD)
    if abs(distribution.mean) > 0.01 * distribution.std:
        return None
    a, b = math.sqrt(rows), math.sqrt(columns)
    edge = (a + b) ** 2
    width = (a + b) * (1 / a + 1 / b) ** (1 / 3)
    scale = distribution.std * math.sqrt(taps)

    def at(eigenvalue: float) -> float:
        return scale * math.sqrt(max(eigenvalue, 0.0))

    middle = edge - 1.21 * width if taps == 1 else edge
    return Estimate(at(middle), at(edge - 4.0 * width), at(edge + (1.5 if taps == 1 else 4.0) * width), METHOD)


def _slope(layer: Layer) -> Estimate:
    """The largest slope within the range that as many Gaussian entries reach."""
    assert layer.table is not None and layer.table.lineage is not None
    z, _ = grid()
    reach = math.sqrt(2.0 * math.log(max(2, layer.table.size)))
    slopes = abs(layer.table.lineage.slope[:, abs(z) <= min(reach, float(z[-1]))])
    return Estimate(float(slopes.max()), 0.9 * float(slopes.max()), float(abs(layer.table.lineage.slope).max()), METHOD)
