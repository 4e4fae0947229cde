"""Convolutions of 1, 2 and 3 dimensions, matrix-free at their true size, stride, padding, dilation and groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope.schema import Estimate, LayerCall
from gradscope.spectra import _lanczos
from gradscope.spectra._matrix import matrix_norm, real
from gradscope.spectra._onednn import PackedConvolution, is_available, packed_convolution
from gradscope.spectra._rules import argument, is_alone, is_constant, name_of, rule
from gradscope.spectra._spectrum import LayerSpectrum, spectrum
from gradscope.spectra._sweep import Sweep

_CONVOLVE = (F.conv1d, F.conv2d, F.conv3d)
_DENSE = 96  # up to so many entries of an image the matrix costs no more than an iteration


@dataclass(frozen=True, slots=True)
class Geometry:
    """Everything of a convolution but its weight; one entry a spatial dimension.

    Attributes:
        size: spatial size of the image that is convolved.
        padding: zeros on both sides.
        surplus: further zeros at the end (an even kernel with padding "same").
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    surplus: tuple[int, ...]
    groups: int

    @property
    def is_patchwise(self) -> bool:
        """Whether every input entry is read for at most one output position, and none of them is padding."""
        apart = all(
            k == 1 or (k <= s and d == 1) for k, s, d in zip(self.kernel, self.stride, self.dilation, strict=True)
        )
        return apart and not any(self.padding) and not any(self.surplus)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Spatial size of the result."""
        rows = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, self.surplus, strict=True)
        return tuple((n + more + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d, more in rows)

    def hits(self) -> Tensor:
        """How many output positions every kernel tap reads a real input entry for; shape of the kernel."""
        total = torch.ones((), dtype=torch.float64)
        rows = zip(self.outputs, self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        for outputs, n, k, stride, padding, dilation in rows:
            position = torch.arange(outputs)[:, None] * stride + torch.arange(k) * dilation - padding  # (output, tap)
            total = total[..., None] * ((position >= 0) & (position < n)).sum(0).double()
        return total


@rule("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
def convolution_module(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """A torch.nn convolution; padding with anything but zeros goes the generic way."""
    module = call.module
    assert isinstance(module, nn.modules.conv._ConvNd)
    if module.padding_mode != "zeros":
        return None
    options = (module.stride, module.padding, module.dilation, module.groups)
    return _spectrum(call, argument(call, 0, "input"), module.weight, options, module.transposed, sweep)


@rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def convolution_function(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """torch.nn.functional's convolutions; a weight that is computed from the input goes the generic way."""
    x, weight = argument(call, 0, "input"), argument(call, 1, "weight")
    if is_constant(call, x) or not is_alone(call, x):
        return None
    is_transposed = "transpose" in name_of(call)
    dilation, groups = (7, 6) if is_transposed else (5, 6)
    options = (
        argument(call, 3, "stride", 1),
        argument(call, 4, "padding", 0),
        argument(call, dilation, "dilation", 1),
        argument(call, groups, "groups", 1),
    )
    return _spectrum(call, x, weight, options, is_transposed, sweep)


def _spectrum(
    call: LayerCall, x: Tensor, weight: Tensor, options: tuple, is_transposed: bool, sweep: Sweep
) -> LayerSpectrum | None:
    """Every sample repeats the same Jacobian; a transposed layer is the adjoint of the convolution of its output.

    None for complex weights, and for an output padded so far that its convolution is larger than the input.
    """
    image, other = (call.output, x) if is_transposed else (x, call.output)
    shape = _geometry(tuple(image.shape[2 - weight.ndim :]), weight, *options)
    if weight.is_complex() or shape.outputs != tuple(other.shape[2 - weight.ndim :]):
        return None
    norm, squared = sweep.solved(weight, ("convolution", shape), lambda: _solve(real(weight), shape, sweep))
    samples = 1 if x.ndim < weight.ndim else x.shape[0]
    return spectrum(norm, Estimate.exact(math.sqrt(squared * samples / x.numel())), x.numel())


def convolve(
    x: Tensor, weight: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> _lanczos.Matvec:
    """x -> conv2d(x, weight) for tensors like `x`, to be applied many times."""
    shape = _geometry(tuple(x.shape[2 - weight.ndim :]), weight, stride, padding, dilation, groups)
    if x.ndim < weight.ndim or any(shape.surplus) or not is_available(weight):
        return lambda v: F.conv2d(v, weight, None, stride, padding, dilation, groups)
    options = {"stride": list(shape.stride), "padding": list(shape.padding), "dilation": list(shape.dilation)}
    matvec, adjoint = packed_convolution(weight, x.shape, **options, groups=groups)

    def apply(v: Tensor) -> Tensor:
        is_traced = v.requires_grad and torch.is_grad_enabled()
        return PackedConvolution.apply(v, matvec, adjoint) if is_traced else matvec(v)  # pyright: ignore[reportReturnType]

    return apply


def _geometry(size: tuple[int, ...], weight: Tensor, stride, padding, dilation, groups: int) -> Geometry:
    kernel = tuple(weight.shape[2:])
    stride, dilation = _per_dimension(stride, len(kernel)), _per_dimension(dilation, len(kernel))
    surplus = (0,) * len(kernel)
    if padding == "same":
        missing = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        padding, surplus = tuple(m // 2 for m in missing), tuple(m % 2 for m in missing)
    padding = (0,) * len(kernel) if padding == "valid" else _per_dimension(padding, len(kernel))
    return Geometry(size, kernel, stride, padding, dilation, surplus, groups)


def _per_dimension(value: int | tuple[int, ...], dimensions: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * dimensions
    return tuple(value) * dimensions if len(value) == 1 else tuple(value)


def _solve(weight: Tensor, shape: Geometry, sweep: Sweep) -> tuple[Estimate, float]:
    """(spectral norm, squared Frobenius norm) of the convolution of one image."""
    taps = weight.double().square().sum((0, 1)).cpu()
    squared = (taps * shape.hits()).sum().item()
    if not math.isfinite(squared):
        return Estimate.unknown("lanczos", "nonfinite"), squared
    if shape.is_patchwise:
        blocks = weight.reshape(shape.groups, weight.shape[0] // shape.groups, -1)
        return matrix_norm(blocks[0] if shape.groups == 1 else blocks, sweep)[0], squared
    if weight.shape[1] * shape.groups * math.prod(shape.size) <= _DENSE:
        return matrix_norm(_dense(weight, shape), sweep)[0], squared
    matvec, rmatvec = operator(weight, shape)
    goal = sweep.goal(coarse=8, fine=28)
    start = sweep.start(1, weight.shape[1] * shape.groups, *shape.size, like=weight)
    bidiagonal, is_settled = _lanczos.solve(matvec, rmatvec, start, goal)
    norm = _lanczos.spectral_norm(bidiagonal, is_settled, probability=goal.probability, method="lanczos")
    return norm, squared


def _dense(weight: Tensor, shape: Geometry) -> Tensor:
    """The convolution of one small image as a matrix, (outputs, inputs)."""
    channels = weight.shape[1] * shape.groups
    basis = torch.eye(channels * math.prod(shape.size), dtype=torch.float64, device=weight.device)
    margin = [side for p, more in zip(shape.padding[::-1], shape.surplus[::-1], strict=True) for side in (p, p + more)]
    images = F.pad(basis.view(-1, channels, *shape.size), margin)
    convolve = _CONVOLVE[len(shape.size) - 1]
    outputs = convolve(images, weight.double(), None, shape.stride, 0, shape.dilation, shape.groups)
    return outputs.flatten(1).mT


def operator(weight: Tensor, shape: Geometry) -> tuple[_lanczos.Matvec, _lanczos.Matvec]:
    """The convolution of one image (1, channels, *size) and its adjoint."""
    stride, padding, dilation = list(shape.stride), list(shape.padding), list(shape.dilation)
    if not any(shape.surplus) and is_available(weight):
        image_shape = (1, weight.shape[1] * shape.groups, *shape.size)
        forth, adjoint = packed_convolution(
            weight, image_shape, stride=stride, padding=padding, dilation=dilation, groups=shape.groups
        )
        return forth, adjoint()
    convolve = _CONVOLVE[len(shape.size) - 1]
    padded = [n + more for n, more in zip(shape.size, shape.surplus, strict=True)]
    image = weight.new_zeros(1, weight.shape[1] * shape.groups, *padded)
    no_output_padding = [0] * len(padded)
    margin = [side for more in reversed(shape.surplus) for side in (0, more)]
    crop = (..., *(slice(n) for n in shape.size))

    def matvec(v: Tensor) -> Tensor:
        v = F.pad(v, margin) if any(margin) else v
        return convolve(v, weight, None, stride, padding, dilation, shape.groups)

    def rmatvec(u: Tensor) -> Tensor:
        gradients = torch.ops.aten.convolution_backward(
            u,
            image,
            weight,
            None,
            stride,
            padding,
            dilation,
            False,
            no_output_padding,
            shape.groups,
            [True, False, False],
        )
        return gradients[0][crop] if any(margin) else gradients[0]

    return matvec, rmatvec
