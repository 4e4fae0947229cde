"""Starts that waste units: symmetric and constant weights, zero weights, dead rectifiers, saturated units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.data import task
from tests.corpus.nets import mlp

CONSTANT = tuple(product(("ones*0.01", "ones*0.1", "ones*1", "zeros"), ("relu", "tanh", "sigmoid"), (2, 6)))
BIASES = tuple(product((-10.0, -2.0, -1.0, -0.3, 0.5, 5.0, 20.0), ("relu", "tanh"), (3, 8)))
SATURATED = tuple(product(("normal*5", "normal*1", "normal*0.5"), ("tanh", "sigmoid", "hardtanh"), (2, 6)))
SHARES = tuple(product((0.5, 0.8, 0.95, 1.0), (3, 10)))


def _mlp(name: str, activation: str, depth: int, init: str = "he") -> nn.Sequential:
    data = task(name)
    return mlp.plain(data.features, data.outputs, depth=depth, activation=activation, init=init)


@torch.no_grad()
def _biased(name: str, activation: str, depth: int, bias: float) -> nn.Sequential:
    """Every hidden bias is the same."""
    model = _mlp(name, activation, depth)
    for layer in list(model)[:-1]:
        if isinstance(layer, nn.Linear):
            layer.bias.fill_(bias)
    return model


@torch.no_grad()
def _with_twins(name: str, depth: int, share: float) -> nn.Sequential:
    """The given share of each layer's units are copies of its first, in their incoming and outgoing weights."""
    model = _mlp(name, "relu", depth)
    for layer in model:
        if isinstance(layer, nn.Linear):
            for weight, size in ((layer.weight, layer.out_features), (layer.weight.T, layer.in_features)):
                n = int(share * size) if size == 32 else 0
                weight[:n] = weight[:1].clone()
    return model


@torch.no_grad()
def _with_dead(name: str, depth: int, share: float) -> nn.Sequential:
    """The given share of each hidden layer never fires."""
    model = _mlp(name, "relu", depth)
    for layer in list(model)[:-1]:
        if isinstance(layer, nn.Linear):
            layer.bias[: int(share * layer.out_features)] = -100.0
    return model


@torch.no_grad()
def _zeroed(name: str, place: int) -> nn.Sequential:
    """One layer starts at zero, its bias too."""
    model = _mlp(name, "relu", 4)
    layer = [layer for layer in model if isinstance(layer, nn.Linear)][place]
    layer.weight.zero_()
    return model


def configs() -> Iterator[Config]:
    """Digits and wine."""

    def one(kind: str, make: Callable[[], nn.Module], name: str) -> Config:
        return Config("broken-start", f"{kind}-{name}", make, name)

    for i, (init, activation, depth) in enumerate((*CONSTANT, *SATURATED)):
        name = ("digits", "wine")[i % 4 == 1]
        yield one(f"{init}-{activation}-depth{depth}", partial(_mlp, name, activation, depth, init), name)
    for i, (bias, activation, depth) in enumerate(BIASES):
        name = ("digits", "wine")[i % 4 == 1]
        make = partial(_biased, name, activation, depth, bias)
        yield one(f"bias{bias:+g}-{activation}-depth{depth}", make, name)
    for share, depth in SHARES:
        yield one(f"twins{share:g}-depth{depth}", partial(_with_twins, "digits", depth, share), "digits")
        yield one(f"dead{share:g}-depth{depth}", partial(_with_dead, "digits", depth, share), "digits")
    for place in (0, 2, -1):
        yield one(f"zero-layer{place}", partial(_zeroed, "digits", place), "digits")


FAMILIES.add("broken-start", configs)
