"""Residual convolution networks: norm and its place x kind x initialisation x branch scale x depth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import conv

ORDERS = (
    ("batch2d", "norm-first"),
    ("batch2d", "norm-last"),
    ("group", "norm-first"),
    ("group", "norm-last"),
    ("none", "norm-first"),
)
MAIN = tuple(product(ORDERS, ("dense", "depthwise"), ("default", "he"), (2, 6)))
FREE = tuple(product((1.0, 0.2), ("relu", "gelu"), ("dense", "standardized"), (4, 8)))
LARGE = tuple(product(("relu", "tanh", "sigmoid"), ("he*2", "normal*0.5", "normal*0.001"), (3, 9)))
LAST = tuple(product(("zero", "rezero"), ("dense", "depthwise"), ("he",), (4, 12)))


def configs() -> Iterator[Config]:
    """Two convolutions a block."""

    def one(name: str, depth: int, make: partial[nn.Sequential]) -> Config:
        head = ("flat", "pool")[depth % 8 == 0]
        return Config(
            "conv-residual",
            f"{name}-depth{depth}",
            partial(make, depth=depth, head=head),
            "digits-image",
        )

    for (norm, order), kind, init, depth in MAIN:
        make = partial(conv.residual, 10, norm=norm, order=order, kind=kind, init=init)
        yield one(f"{norm}-{order}-{kind}-{init}", depth, make)
    for scale, activation, kind, depth in FREE:
        init = "he" if kind == "dense" else "default"
        make = partial(conv.residual, 10, scale=scale, activation=activation, kind=kind, init=init)
        yield one(f"norm-free-{kind}-{activation}-scale{scale}", depth, make)
    for activation, init, depth in LARGE:
        yield one(f"norm-free-{activation}-{init}", depth, partial(conv.residual, 10, activation=activation, init=init))
    for last, kind, init, depth in LAST:
        yield one(f"{last}-{kind}-{init}", depth, partial(conv.residual, 10, last=last, kind=kind, init=init))


FAMILIES.add("conv-residual", configs)
