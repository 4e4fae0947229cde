"""The slow, obvious twins: dense float64 Jacobians by autograd and their singular values."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscope.schema import LayerCall


@dataclass(frozen=True)
class DenseSpectrum:
    """All singular values of a dense Jacobian.

    Attributes:
        values: singular values, largest first.
        columns: entries of the input.
    """

    values: Tensor
    columns: int

    @property
    def spectral_norm(self) -> float:
        return self.values[0].item() if self.values.numel() else 0.0

    @property
    def rms_gain(self) -> float:
        return math.sqrt(self.values.square().sum().item() / self.columns)


def call_of(layer: nn.Module | Callable[..., Any], *args: Any, **kwargs: Any) -> LayerCall:
    """What the runtime tape records when the layer runs on these arguments."""
    is_module = isinstance(layer, nn.Module)
    op = type(layer).__name__ if is_module else layer.__name__.strip("_")  # type: ignore[union-attr]
    output = layer(*_copied(args), **_copied(kwargs))
    return LayerCall(op, layer if is_module else None, layer, args, kwargs, output)


def dense_jacobian(function: Callable[..., Any], *inputs: Tensor) -> Tensor:
    """The Jacobian of all floating-point outputs in all inputs together, (outputs, inputs), in float64."""

    def flat(*values: Tensor) -> Tensor:
        output = function(*(v.clone() for v in values))
        outputs = output if isinstance(output, tuple | list) else (output,)
        return torch.cat([o.reshape(-1) for o in outputs])

    with sdpa_kernel(SDPBackend.MATH):
        blocks = torch.autograd.functional.jacobian(flat, tuple(t.detach().double() for t in inputs), vectorize=True)
    return torch.cat([b.reshape(b.shape[0], -1) for b in blocks], 1)


def dense_spectrum(function: Callable[..., Any], *inputs: Tensor) -> DenseSpectrum:
    """Singular values of `dense_jacobian`; a module is copied to float64 first."""
    if isinstance(function, nn.Module):
        function = copy.deepcopy(function).double()
    jacobian = dense_jacobian(function, *inputs)
    return DenseSpectrum(torch.linalg.svdvals(jacobian), jacobian.shape[1])


def _copied(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, tuple | list):
        return type(tree)(_copied(item) for item in tree)
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    return tree
