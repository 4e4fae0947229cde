"""The gain of an activation: what a weight's scale must be multiplied with to keep unit variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# In the order in which they are looked for in the name of a layer: "leaky_relu" before "relu", "mish" before none.
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "leaky": F.leaky_relu,
    "relu6": F.relu6,
    "selu": F.selu,
    "gelu": F.gelu,
    "celu": F.celu,
    "prelu": lambda z: F.leaky_relu(z, 0.25),  # torch's initial slope
    "relusquared": lambda z: F.relu(z).square(),
    "relu": F.relu,
    "elu": F.elu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "hardtanh": F.hardtanh,
    "silu": F.silu,
    "swish": F.silu,
    "mish": F.mish,
    "logsigmoid": F.logsigmoid,
    "sigmoid": F.sigmoid,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": torch.tanh,
}
_RANGE = 10.0  # standard deviations on either side; the normal density is 1e-23 there
_POINTS = 4001


@cache
def forward_gain(op: str) -> float | None:
    """E[f(z)^2]^(-1/2) for z ~ N(0, 1) of the activation a layer's name stands for (He et al. 2015, arXiv:1502.01852).

    1 of a layer without activation before an output or a sum; None of any other op.
    """
    if op in ("output", "add", "linear", "conv1d", "conv2d", "conv3d"):
        return 1.0
    name = op.lower().replace("_", "")
    activation = next((f for key, f in _ACTIVATIONS.items() if key in name), None)
    if activation is None:
        return None
    z = torch.linspace(-_RANGE, _RANGE, _POINTS, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return torch.trapezoid(activation(z).square() * density, z).item() ** -0.5
