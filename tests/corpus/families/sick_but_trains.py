"""Models that alarm a plain threshold and train well: zero branches, deep pre-norm, the critical line, small heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import attention, conv, mlp
from tests.corpus.nets.parts import Skip

DEPTHS = (6, 20)


@torch.no_grad()
def _fixup(depth: int, activation: str) -> nn.Sequential:
    """Fixup (Zhang et al. 2019): first weight of a branch times depth^(-1/2), last weight and the head zero."""
    model = mlp.residual(64, 10, depth=depth, activation=activation, init="he", last="zero")
    for block in model:
        if isinstance(block, Skip):
            block.branch[0].weight.mul_(depth**-0.5)
    model[-1].weight.zero_()
    return model


def _critical(depth: int, activation: str, gain: float) -> nn.Sequential:
    """Orthogonal weights whose gain puts the activation's mean-square slope at one."""
    return mlp.plain(64, 10, depth=depth, activation=activation, init=f"orthogonal*{gain}")


@torch.no_grad()
def _scaled_head(depth: int, factor: float) -> nn.Sequential:
    """A head so small that every gradient below it starts tiny."""
    model = mlp.plain(64, 10, depth=depth, init="he")
    model[-1].weight.mul_(factor)
    return model


@torch.no_grad()
def _unbalanced(depth: int, factor: float) -> nn.Sequential:
    """Rectifier layers scaled up and down by turns: the function is the same, the gradients are far apart."""
    model = mlp.plain(64, 10, depth=depth, init="he")
    layers = [layer for layer in model if isinstance(layer, nn.Linear)][1:-1]
    for i, layer in enumerate(layers[: len(layers) // 2 * 2]):
        layer.weight.mul_(factor if i % 2 else 1 / factor)
    return model


def _tokens(depth: int, mixer: str, is_rezero: bool, residual: float) -> nn.Module:
    placement = "none" if is_rezero else "pre"
    model = attention.TokenNetwork(8, 10, depth=depth, placement=placement, mixer=mixer, is_rezero=is_rezero)
    return attention.initialize(model, residual=residual)


def configs() -> Iterator[Config]:
    """Digits as vectors, images and rows."""

    def one(name: str, make: Callable[[], nn.Module], task: str = "digits") -> Config:
        return Config("sick-but-trains", name, make, task)

    for last, activation, depth in product(("zero", "rezero"), ("relu", "tanh", "gelu"), DEPTHS):
        make = partial(mlp.residual, 64, 10, depth=depth, activation=activation, init="he", last=last)
        yield one(f"{last}-{activation}-depth{depth}", make)
    for activation, depth in product(("relu", "gelu"), DEPTHS):
        yield one(f"fixup-{activation}-depth{depth}", partial(_fixup, depth, activation))
    for (activation, gain), depth in product((("tanh", 1.05), ("hardtanh", 1.0), ("sine", 1.05)), (12, 30)):
        yield one(f"critical-{activation}-depth{depth}", partial(_critical, depth, activation, gain))
    for norm, depth in product(("layer", "rms"), (12, 24)):
        yield one(f"pre-{norm}-depth{depth}", partial(mlp.residual, 64, 10, depth=depth, norm=norm, init="he"))
    for depth, factor in product((2, 5), (1e-2, 1e-4, 1e-6, 0.0)):
        yield one(f"head{factor:g}-depth{depth}", partial(_scaled_head, depth, factor))
    for depth, factor in product((4, 8), (3.0, 10.0, 30.0)):
        yield one(f"unbalanced{factor:g}-depth{depth}", partial(_unbalanced, depth, factor))
    for last, depth in product(("zero", "rezero"), (4, 10)):
        yield one(
            f"conv-{last}-depth{depth}",
            partial(conv.residual, 10, depth=depth, init="he", last=last, head="flat"),
            "digits-image",
        )
    for init, depth in product(("delta", "delta*1.4"), (6, 12)):
        activation = "tanh" if init == "delta" else "relu"
        make = partial(conv.plain, 10, depth=depth, activation=activation, init=init, head="flat")
        yield one(f"conv-{init}-{activation}-depth{depth}", make, "digits-image")
    for mixer, depth in product(("attention", "mlp"), (5, 10)):
        for name, is_rezero, residual in (("rezero", True, 1.0), ("zero", False, 0.0), ("pre", False, 1.0)):
            yield one(
                f"{mixer}-{name}-depth{depth}", partial(_tokens, depth, mixer, is_rezero, residual), "digits-rows"
            )


FAMILIES.add("sick-but-trains", configs)
