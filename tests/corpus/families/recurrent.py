"""Recurrent networks: cell x lag between evidence and answer x recurrent initialisation x gate bias x layers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import recurrent

LAGS = (0, 8, 24)
PLAIN = tuple(
    product(("tanh", "relu"), LAGS, ("default", "orthogonal", "orthogonal*0.5", "identity", "normal*2"), (0.0,))
)
GATED = tuple(product(("gru", "lstm"), LAGS, ("default", "orthogonal"), (0.0, 3.0)))
FORGETFUL = tuple(product(("gru", "lstm"), (24,), ("normal*0.1", "normal*3"), (-3.0, 0.0)))
LONG = tuple(product(("tanh", "relu", "lstm"), (48,), ("default", "orthogonal", "orthogonal*0.5"), (0.0,)))
TEXT = tuple(product(("tanh", "relu", "gru", "lstm"), ("default", "orthogonal", "normal*3", "orthogonal*0.2"), (2,)))


def _build(cell: str, init: str, forget: float = 0.0, layers: int = 1, is_text: bool = False) -> nn.Module:
    features, outputs = (35, 35) if is_text else (8, 10)
    model = recurrent.Recurrent(features, outputs, cell=cell, layers=layers, is_text=is_text)
    return recurrent.initialize(model, init, forget)


def configs() -> Iterator[Config]:
    """An image row by row, the answer `lag` empty rows later; and the next character."""
    for cell, lag, init, forget in (*PLAIN, *GATED, *FORGETFUL, *LONG):
        bias = f"-forget{forget:+g}" if forget else ""
        make = partial(_build, cell, init, forget)
        task = f"digits-rows-lag{lag}" if lag else "digits-rows"
        yield Config("recurrent", f"{cell}-{init}{bias}-lag{lag}", make, task)
    for cell, init, layers in TEXT:
        make = partial(_build, cell, init, layers=layers, is_text=True)
        yield Config("recurrent", f"{cell}-{init}-layers{layers}-text", make, "text")


FAMILIES.add("recurrent", configs)
