"""Fully connected networks: plain or residual, with any activation, norm and initialiser."""

from __future__ import annotations

from torch import nn

from tests.corpus.nets.parts import ACTIVATIONS, NORMS, Skip, close_branches, initialize


def _layer(width: int, activation: str, norm: str, order: str) -> list[nn.Module]:
    linear, act = nn.Linear(width, width), ACTIVATIONS[activation]()
    if norm == "none":
        return [linear, act]
    if order == "norm-first":
        return [NORMS[norm](width), linear, act]
    return [linear, act, NORMS[norm](width)] if order == "norm-last" else [linear, NORMS[norm](width), act]


def plain(
    inputs: int,
    outputs: int,
    *,
    depth: int,
    width: int = 32,
    activation: str = "relu",
    norm: str = "none",
    order: str = "norm-middle",
    init: str = "default",
) -> nn.Sequential:
    """A stem, `depth` square layers and a linear head."""
    layers: list[nn.Module] = [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
    for _ in range(depth):
        layers += _layer(width, activation, norm, order)
    model = nn.Sequential(*layers, nn.Linear(width, outputs))
    initialize(model, init)
    return model


def residual(
    inputs: int,
    outputs: int,
    *,
    depth: int,
    width: int = 32,
    activation: str = "relu",
    norm: str = "none",
    order: str = "norm-first",
    init: str = "default",
    scale: float = 1.0,
    last: str = "same",
) -> nn.Sequential:
    """A stem, `depth` residual blocks of two layers and a linear head.

    Args:
        inputs: features in.
        outputs: features out.
        depth: number of blocks.
        width: of the stream.
        activation: between the two layers of a block.
        norm: of each block.
        order: "norm-first" normalises the branch's input, "norm-last" the stream after the sum (post-norm).
        init: of every linear layer.
        scale: constant factor of each branch.
        last: "same", "zero" (the branch's last weight is zero) or "rezero" (a learned scalar starts at zero).
    """
    blocks: list[nn.Module] = []
    for _ in range(depth):
        pre = [NORMS[norm](width)] if order == "norm-first" and norm != "none" else []
        branch = nn.Sequential(*pre, nn.Linear(width, width), ACTIVATIONS[activation](), nn.Linear(width, width))
        blocks.append(Skip(branch, scale=scale, is_learned=last == "rezero"))
        if order == "norm-last" and norm != "none":
            blocks.append(NORMS[norm](width))
    model = nn.Sequential(nn.Linear(inputs, width), *blocks, ACTIVATIONS[activation](), nn.Linear(width, outputs))
    initialize(model, init)
    if last == "zero":
        close_branches(model)
    return model
