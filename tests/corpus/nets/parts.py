"""What every network kind shares: activations, norms, skip connections and initialisers, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu().square()


class Skip(nn.Module):
    """x + scale * branch(x).

    Args:
        branch: shape-preserving.
        scale: a constant, ignored where `is_learned`.
        is_learned: a learned scalar that starts at zero (ReZero, SkipInit) takes the constant's place.
    """

    def __init__(self, branch: nn.Module, *, scale: float = 1.0, is_learned: bool = False) -> None:
        super().__init__()
        self.branch = branch
        self.scale = nn.Parameter(torch.zeros(())) if is_learned else scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "selu": nn.SELU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
    "mish": nn.Mish,
    "relu6": nn.ReLU6,
    "sine": Sine,
    "square": Square,
    "identity": nn.Identity,
}

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "batch2d": nn.BatchNorm2d,
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "group": lambda width: nn.GroupNorm(4, width),
    "instance": lambda width: nn.GroupNorm(width, width),
}


def _orthogonal(weight: Tensor) -> None:
    nn.init.orthogonal_(weight)


def _delta(weight: Tensor) -> None:
    """Delta-orthogonal (Xiao et al. 2018): an orthogonal matrix in the middle of the kernel, zero elsewhere."""
    if weight.dim() == 2 or weight.shape[1] == 1:
        nn.init.orthogonal_(weight)
        return
    nn.init.zeros_(weight)
    weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2] = nn.init.orthogonal_(torch.empty(weight.shape[:2]))


WEIGHTS: dict[str, Callable[[Tensor], object]] = {
    "he": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "lecun": lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": _orthogonal,
    "delta": _delta,
    "normal": nn.init.normal_,
    "ones": nn.init.ones_,
    "zeros": nn.init.zeros_,
}


@torch.no_grad()
def initialize(model: nn.Module, init: str) -> nn.Module:
    """Initialise every linear and convolution weight, in place; biases become zero.

    Args:
        model: what to initialise.
        init: "default" (leave torch's own), or a key of `WEIGHTS`, with a factor if wanted: "he*2", "normal*0.02".
    """
    if init == "default":
        return model
    kind, _, factor = init.partition("*")
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            WEIGHTS[kind](module.weight)
            module.weight.mul_(float(factor or 1))
            if module.bias is not None:
                module.bias.zero_()
    return model


def close_branches(model: nn.Sequential) -> None:
    """Zero the last layer of every residual branch, in place: the model starts as its stream."""
    for block in model:
        if isinstance(block, Skip):
            nn.init.zeros_(block.branch[-1].weight)
            nn.init.zeros_(block.branch[-1].bias)
