"""Plain fully connected networks: activation x initialisation x depth, without norm or skip."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import mlp

MAIN = tuple(product(("relu", "tanh", "gelu"), ("default", "he", "xavier", "orthogonal", "normal*0.02"), (3, 10, 30)))
SATURATING = tuple(product(("sigmoid",), ("default", "xavier*4", "normal*1"), (2, 5, 12)))
OTHERS = tuple(
    product(("silu", "selu", "elu", "leaky", "softplus", "softsign", "sine", "hardtanh"), ("lecun", "he"), (20,))
)
SCALES = tuple(product(("relu", "tanh"), ("he*0.5", "he*0.8", "he*1.25", "he*2", "normal*1"), (6, 20)))


def configs() -> Iterator[Config]:
    """Digits mostly; every third on a table, where models are shallower than they need to be."""
    for i, (activation, init, depth) in enumerate((*MAIN, *SATURATING, *OTHERS, *SCALES)):
        name, inputs, outputs = ("cancer", 30, 2) if i % 5 == 4 else ("digits", 64, 10)
        make = partial(mlp.plain, inputs, outputs, depth=depth, activation=activation, init=init)
        yield Config("mlp-plain", f"{activation}-{init}-depth{depth}-{name}", make, name)


FAMILIES.add("mlp-plain", configs)
