"""Residual fully connected networks: branch scale x norm place x initialisation x depth, and width."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import mlp

NORMS = (("none", "norm-first"), ("layer", "norm-first"), ("layer", "norm-last"), ("batch", "norm-first"))
MAIN = tuple(product(NORMS, ("relu", "tanh"), ("default", "he", "orthogonal*1.5"), (4, 16)))
SCALED = tuple(product((("none", "norm-first"),), ("relu", "gelu"), ("he", "he*2"), (12, 30)))
WIDTHS = tuple(product((4, 64), (4, 12), ("default", "he")))


def configs() -> Iterator[Config]:
    """Classes from images, and images from themselves for every sixth."""
    for i, ((norm, order), activation, init, depth) in enumerate(MAIN):
        task, outputs, loss = ("digits-autoencoder", 64, "mse") if i % 7 == 6 else ("digits", 10, "cross-entropy")
        make = partial(mlp.residual, 64, outputs, depth=depth, activation=activation, norm=norm, order=order, init=init)
        yield Config("mlp-residual", f"{norm}-{order}-{activation}-{init}-depth{depth}-{task}", make, task, loss)
    for (norm, _), activation, init, depth in SCALED:
        make = partial(
            mlp.residual, 64, 10, depth=depth, activation=activation, norm=norm, init=init, scale=depth**-0.5
        )
        yield Config("mlp-residual", f"scaled-{activation}-{init}-depth{depth}", make, "digits")
    for width, depth, init in WIDTHS:
        make = partial(mlp.residual, 64, 10, depth=depth, width=width, init=init)
        yield Config("mlp-residual", f"width{width}-{init}-depth{depth}", make, "digits")
        make = partial(mlp.plain, 64, 10, depth=depth, width=width, init=init)
        yield Config("mlp-residual", f"no-skip-width{width}-{init}-depth{depth}", make, "digits")


FAMILIES.add("mlp-residual", configs)
