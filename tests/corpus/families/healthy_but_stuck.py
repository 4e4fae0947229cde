"""Models whose gradients look ordinary and that do not learn: no information, no memory, no capacity, no signal.

Beside them their twins without the fault, so that what tells them apart is the fault and not the design.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.data import task
from tests.corpus.nets import attention, conv, mlp
from tests.corpus.nets.parts import NORMS


class Bottleneck(nn.Module):
    """A layer that loses what the input said and looks like any other.

    Args:
        kind: "mean" (over features), "shuffled" (answers meet another sample's question), "batch-mean", "noise" (a
            hundred times the signal), "rounded" (no gradient passes), "rank-one" (one feature is left), "absent" or
            "open" (nothing is lost).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "mean":
            return x.mean(-1, keepdim=True).expand_as(x)
        if self.kind == "shuffled":
            return x.flip(0)
        if self.kind == "batch-mean":
            return x.mean(0, keepdim=True).expand_as(x)
        if self.kind == "noise":
            return x + 100 * torch.randn_like(x)
        if self.kind == "rounded":
            return x.detach().round() + (x - x.detach()) * 0
        if self.kind == "rank-one":
            return torch.ones_like(x) * x[..., :1]
        if self.kind == "absent":
            return torch.ones_like(x) + 0 * x
        if self.kind == "open":
            return x
        raise ValueError(f"no bottleneck is called {self.kind!r}")


KINDS = ("mean", "shuffled", "batch-mean", "noise", "rounded", "rank-one", "absent")


def _with_bottleneck(name: str, kind: str, activation: str, place: int) -> nn.Sequential:
    data = task(name)
    layers = list(mlp.plain(data.features, data.outputs, depth=4, activation=activation, init="he"))
    return nn.Sequential(*layers[:place], Bottleneck(kind), *layers[place:])


def _norm_of_one(name: str, width: int, norm: str) -> nn.Sequential:
    """A norm over so few features that it forgets what it was given."""
    data = task(name)
    return nn.Sequential(
        nn.Linear(data.features, 32),
        nn.ReLU(),
        nn.Linear(32, width),
        NORMS[norm](width),
        nn.Linear(width, data.outputs),
    )


def _dropout(name: str, rate: float, depth: int) -> nn.Sequential:
    data = task(name)
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(64, 64), nn.ReLU(), nn.Dropout(rate))]
    return nn.Sequential(nn.Linear(data.features, 64), nn.ReLU(), *hidden, nn.Linear(64, data.outputs))


def _attention(depth: int, temperature: float, *, has_skip: bool) -> nn.Module:
    """Without skips and at a high temperature, each token becomes the mean of all."""
    return attention.TokenNetwork(8, 10, depth=depth, placement="pre", has_skip=has_skip, temperature=temperature)


def configs() -> Iterator[Config]:
    """Digits, wine and text; labels that say nothing where the model is not at fault."""

    def one(
        name: str, make: Callable[[], nn.Module], task_name: str, targets: str = "given", inputs: str = "standardized"
    ) -> Config:
        return Config("healthy-but-stuck", name, make, task_name, targets=targets, inputs=inputs)

    for kind, activation, name in product(KINDS, ("relu", "tanh"), ("digits", "wine")):
        for place in (0, 4):
            make = partial(_with_bottleneck, name, kind, activation, place)
            yield one(f"{kind}-{activation}-{name}-at{place}", make, name)
    for name, activation, depth in product(("digits", "wine", "cancer"), ("relu", "tanh"), (2, 6)):
        data = task(name)
        make = partial(mlp.plain, data.features, data.outputs, depth=depth, activation=activation, init="he")
        yield one(f"permuted-{activation}-depth{depth}-{name}", make, name, "permuted")
    for width, norm in ((1, "layer"), (2, "layer"), (1, "rms"), (2, "rms"), (4, "instance")):
        yield one(f"norm-{norm}-of-{width}", partial(_norm_of_one, "digits", width, norm), "digits")
    for rate, depth in product((0.5, 0.9, 0.98), (2, 6)):
        yield one(f"dropout{rate:g}-depth{depth}", partial(_dropout, "digits", rate, depth), "digits")
    for depth in (4, 8):
        make = partial(_attention, depth, 1e4, has_skip=False)
        yield one(f"collapsed-attention-depth{depth}", make, "digits-rows")
    for depth, head in product((4, 12), ("pool", "flat")):
        make = partial(conv.plain, 10, depth=depth, activation="sigmoid", init="lecun*2", head=head)
        yield one(f"conv-sigmoid-depth{depth}-{head}", make, "digits-image")
    for width in (1, 2):
        yield one(f"narrow{width}", partial(mlp.plain, 64, 10, depth=4, width=width, init="he"), "digits")
    for name, make, task_name in _sound():
        yield one(f"sound-{name}", make, task_name)


def _sound() -> Iterator[tuple[str, Callable[[], nn.Module], str]]:
    """Name, model and task of each twin."""
    for activation, name, place in product(("relu", "tanh"), ("digits", "wine"), (0, 4)):
        yield f"open-{activation}-{name}-at{place}", partial(_with_bottleneck, name, "open", activation, place), name
    for name, activation, depth in product(("digits", "wine", "cancer"), ("relu", "tanh"), (2, 6)):
        data = task(name)
        make = partial(mlp.plain, data.features, data.outputs, depth=depth, activation=activation, init="he")
        yield f"labelled-{activation}-depth{depth}-{name}", make, name
    for width, norm in product((16, 48), ("layer", "rms")):
        yield f"norm-{norm}-of-{width}", partial(_norm_of_one, "digits", width, norm), "digits"
    for rate, depth in product((0.1, 0.25), (2, 4)):
        yield f"dropout{rate:g}-depth{depth}", partial(_dropout, "digits", rate, depth), "digits"
    for depth in (2, 4):
        yield f"attention-depth{depth}", partial(_attention, depth, 1.0, has_skip=True), "digits-rows"
    for depth, activation in product((4, 8), ("relu", "silu")):
        make = partial(conv.plain, 10, depth=depth, activation=activation, init="he", norm="batch2d")
        yield f"conv-{activation}-batch-depth{depth}", make, "digits-image"
    for width in (16, 32):
        yield f"narrow{width}", partial(mlp.plain, 64, 10, depth=4, width=width, init="he"), "digits"


FAMILIES.add("healthy-but-stuck", configs)
