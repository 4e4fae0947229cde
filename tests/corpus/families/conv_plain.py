"""Convolution networks without skip: activation x initialisation x depth x norm x kind x head."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import conv

MAIN = tuple(product(("relu", "tanh"), ("default", "he", "xavier", "delta"), ("none",), ("dense",), (3, 7, 12)))
NORMED = tuple(product(("relu", "sigmoid"), ("default", "normal*0.02"), ("batch2d", "group"), ("dense",), (4, 10)))
DEPTHWISE = tuple(product(("relu", "gelu"), ("default", "he"), ("none", "batch2d"), ("depthwise",), (3, 10)))
FREE = tuple(product(("relu", "silu"), ("default",), ("none", "instance"), ("standardized",), (4, 10)))
SCALES = tuple(product(("relu",), ("he*0.5", "he*2", "delta*0.5", "normal*1"), ("none",), ("dense",), (5, 12)))


def configs() -> Iterator[Config]:
    """The head averages over pixels in every second, else it sees them all."""
    variants = (*MAIN, *NORMED, *DEPTHWISE, *FREE, *SCALES)
    for i, (activation, init, norm, kind, depth) in enumerate(variants):
        head = ("flat", "pool")[(i // 3) % 2]
        make = partial(conv.plain, 10, depth=depth, activation=activation, norm=norm, init=init, kind=kind, head=head)
        yield Config("conv-plain", f"{kind}-{activation}-{init}-{norm}-depth{depth}-{head}", make, "digits-image")


FAMILIES.add("conv-plain", configs)
