"""Fully connected networks with a norm: kind and place of the norm x activation x initialisation x depth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import mlp

NORMS = (("batch", "norm-middle"), ("layer", "norm-middle"), ("layer", "norm-first"), ("rms", "norm-last"))
MAIN = tuple(product(NORMS, ("relu", "tanh", "sigmoid"), ("default", "he"), (4, 16)))
SCALES = tuple(product(NORMS, ("relu",), ("normal*0.001", "normal*2"), (4, 24)))


def configs() -> Iterator[Config]:
    """Digits, and wine for every fourth."""
    for i, ((norm, order), activation, init, depth) in enumerate((*MAIN, *SCALES)):
        name, inputs, outputs = ("wine", 13, 3) if i % 5 == 4 else ("digits", 64, 10)
        make = partial(
            mlp.plain, inputs, outputs, depth=depth, activation=activation, norm=norm, order=order, init=init
        )
        yield Config("mlp-norm", f"{norm}-{order}-{activation}-{init}-depth{depth}-{name}", make, name)


FAMILIES.add("mlp-norm", configs)
