"""Mixers: place and kind of the norm x activation x depth x weight scale, over the rows of an image."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import attention

MAIN = tuple(product(("pre", "post", "none"), ("gelu", "relu", "tanh"), (2, 5), (None, 0.5)))
NO_SKIP = tuple(product(("pre", "post", "none"), ("gelu", "tanh"), (1, 3, 6), (None,)))
LARGE = tuple(product(("pre", "post", "none"), ("gelu",), (3, 8), (2.0,)))
NO_SKIP_SCALED = tuple(product(("pre", "none"), ("gelu", "relu"), (3, 6), (0.02, 1.0)))
RMS = tuple(product(("pre", "post"), ("relu",), (4, 9), (None, 0.02)))


def _build(placement: str, activation: str, depth: int, std: float | None, norm: str, has_skip: bool) -> nn.Module:
    model = attention.TokenNetwork(
        8, 10, depth=depth, placement=placement, mixer="mlp", activation=activation, norm=norm, has_skip=has_skip
    )
    return attention.initialize(model, std)


def configs() -> Iterator[Config]:
    """Token mixing by a two-layer network across the tokens."""
    for kind, norm, variants in (
        ("skip", "layer", (*MAIN, *LARGE)),
        ("no-skip", "layer", (*NO_SKIP, *NO_SKIP_SCALED)),
        ("skip", "rms", RMS),
    ):
        for placement, activation, depth, std in variants:
            make = partial(_build, placement, activation, depth, std, norm, kind == "skip")
            name = f"{kind}-{norm}-{placement}-{activation}-std{std or 'default'}-depth{depth}"
            yield Config("mixer", name, make, "digits-rows")


FAMILIES.add("mixer", configs)
