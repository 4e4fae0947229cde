"""Convolution networks on small images: plain, residual, depthwise, with or without normalization."""

from __future__ import annotations

from torch import Tensor, nn

from tests.corpus.nets.parts import ACTIVATIONS, NORMS, Skip, close_branches, initialize


class StandardizedConv2d(nn.Conv2d):
    """A convolution whose kernels are standardized at every use (weight standardization, Qiao et al. 2019).

    Each kernel has norm `gain`, so that independent inputs of second moment 1 leave with second moment gain^2.
    """

    gain = 2**0.5  # what a rectifier takes away

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-4).sqrt()
        return self._conv_forward(x, self.gain * weight, self.bias)


def _convolution(kind: str, channels: int) -> list[nn.Module]:
    if kind == "depthwise":
        return [nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, channels, 1)]
    if kind == "standardized":
        return [StandardizedConv2d(channels, channels, 3, padding=1)]
    return [nn.Conv2d(channels, channels, 3, padding=1)]


def plain(
    outputs: int,
    *,
    depth: int,
    channels: int = 8,
    activation: str = "relu",
    norm: str = "none",
    init: str = "default",
    kind: str = "dense",
    head: str = "pool",
) -> nn.Sequential:
    """A stem that halves the image, `depth` convolutions, and a linear head on the mean over pixels or on each."""
    layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, stride=2, padding=1), ACTIVATIONS[activation]()]
    for _ in range(depth):
        layers += _convolution(kind, channels)
        layers += [NORMS[norm](channels)] if norm != "none" else []
        layers.append(ACTIVATIONS[activation]())
    return _with_head(layers, outputs, channels, init=init, head=head)


def residual(
    outputs: int,
    *,
    depth: int,
    channels: int = 8,
    activation: str = "relu",
    norm: str = "none",
    order: str = "norm-first",
    init: str = "default",
    kind: str = "dense",
    scale: float = 1.0,
    last: str = "same",
    head: str = "pool",
) -> nn.Sequential:
    """A stem, `depth` residual blocks of two convolutions and a linear head.

    Args:
        outputs: number of classes.
        depth: number of blocks.
        channels: of the stream.
        activation: everywhere.
        norm: of each block.
        order: "norm-first" (norm, activation, convolution, twice) or "norm-last" (the first residual network: the
            activation follows the sum).
        init: of every convolution and of the head.
        kind: "dense", "depthwise" (followed by a pointwise one) or "standardized".
        scale: constant factor of each branch.
        last: "same", "zero" (last convolution or norm of the branch is zero) or "rezero" (a learned zero scalar).
        head: "pool" averages over pixels, "flat" sees each one.
    """
    act = ACTIVATIONS[activation]
    layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, stride=2, padding=1)]
    for _ in range(depth):
        norms = [[NORMS[norm](channels)] if norm != "none" else [] for _ in range(2)]
        first, second = _convolution(kind, channels), _convolution(kind, channels)
        if order == "norm-first":
            branch = nn.Sequential(*norms[0], act(), *first, *norms[1], act(), *second)
        else:
            branch = nn.Sequential(*first, *norms[0], act(), *second, *norms[1])
        layers.append(Skip(branch, scale=scale, is_learned=last == "rezero"))
        layers += [act()] if order == "norm-last" else []
    model = _with_head([*layers, act()], outputs, channels, init=init, head=head)
    if last == "zero":
        close_branches(model)
    return model


def _with_head(layers: list[nn.Module], outputs: int, channels: int, *, init: str, head: str) -> nn.Sequential:
    pool = [nn.AdaptiveAvgPool2d(1)] if head == "pool" else []
    features = channels if head == "pool" else 16 * channels
    model = nn.Sequential(*layers, *pool, nn.Flatten(), nn.Linear(features, outputs))
    initialize(model, init)
    return model
