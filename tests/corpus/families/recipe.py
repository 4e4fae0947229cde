"""Sound models given a wrong loss, a wrong output activation, unscaled inputs or targets; and some given none of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.data import task
from tests.corpus.nets import conv, mlp

LOSSES = (
    "cross-entropy-of-softmax", "likelihood-of-logits", "likelihood-of-softmax", "log-of-sigmoid",
    "cross-entropy-over-batch", "cross-entropy-sign-flipped", "exponential", "mse-of-argmax-index", "mse-one-hot",
    "l1-one-hot", "multi-margin", "binary-cross-entropy", "cross-entropy-sum", "cross-entropy-thousandth",
    "cross-entropy-millionth",
)  # fmt: skip
INPUTS = (
    "raw", "tenfold", "thousandfold", "millionfold", "thousandth", "millionth", "offset-10", "offset-1000",
    "one-column-huge", "zero", "same-sample",
)  # fmt: skip
SOUND_LOSSES = ("cross-entropy", "binary-cross-entropy", "mse-one-hot")
TARGETS = ("given", "standardized", "thousandfold", "millionfold", "offset-100", "permuted")
HEADS = {
    "softmax": partial(nn.Softmax, dim=-1),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "log-softmax": partial(nn.LogSoftmax, dim=-1),
    "negative-relu": lambda: nn.Sequential(nn.ReLU(), nn.Threshold(0.5, 0.0)),
}


def _with_head(name: str, head: str, activation: str) -> nn.Module:
    data = task(name)
    body = mlp.plain(data.features, data.outputs, depth=3, activation=activation, init="xavier")
    return nn.Sequential(body, HEADS[head]())


def _mlp(name: str, activation: str = "relu", norm: str = "none") -> partial[nn.Module]:
    data = task(name)
    return partial(mlp.plain, data.features, data.outputs, depth=3, activation=activation, norm=norm, init="he")


def configs() -> Iterator[Config]:
    """Three-layer networks and a small convolution network."""
    for loss, activation in product(LOSSES, ("relu", "tanh")):
        yield Config("recipe", f"{loss}-{activation}-digits", _mlp("digits", activation), "digits", loss)
    for loss in LOSSES[:5]:
        make = partial(conv.plain, 10, depth=2, init="he")
        yield Config("recipe", f"{loss}-conv", make, "digits-image", loss)
    for inputs, (activation, norm), name in product(
        INPUTS, (("relu", "none"), ("tanh", "none"), ("relu", "batch")), ("digits", "cancer")
    ):
        if (name, norm) != ("digits", "batch"):
            make = _mlp(name, activation, norm)
            yield Config("recipe", f"inputs-{inputs}-{activation}-{norm}-{name}", make, name, inputs=inputs)
    for targets, activation, inputs in product(TARGETS, ("relu", "tanh"), ("standardized", "raw")):
        name = f"targets-{targets}-{activation}-{inputs}-diabetes"
        yield Config("recipe", name, _mlp("diabetes", activation), "diabetes", "mse", inputs, targets)
    for head, activation, name in product(HEADS, ("relu", "tanh"), ("digits",)):
        make = partial(_with_head, name, head, activation)
        yield Config("recipe", f"head-{head}-{activation}-{name}", make, name)
    for head, activation in product(HEADS, ("relu", "tanh")):
        make = partial(_with_head, "diabetes", head, activation)
        yield Config("recipe", f"head-{head}-{activation}-diabetes", make, "diabetes", "mse", targets="standardized")
    yield from _sound()


def _sound() -> Iterator[Config]:
    """The same networks with a recipe that fits them: most recipes that are met do."""
    for loss, activation, name in product(SOUND_LOSSES, ("relu", "tanh"), ("wine", "cancer")):
        yield Config("recipe", f"sound-{loss}-{activation}-{name}", _mlp(name, activation), name, loss)
    for activation, norm in product(("relu", "tanh", "gelu"), ("none", "batch")):
        yield Config("recipe", f"sound-{activation}-{norm}-digits", _mlp("digits", activation, norm), "digits")
    for activation in ("gelu", "silu", "leaky"):
        make = _mlp("diabetes", activation)
        yield Config("recipe", f"sound-{activation}-diabetes", make, "diabetes", "mse", targets="standardized")
    for depth, activation in product((2, 4), ("relu", "gelu")):
        make = partial(conv.plain, 10, depth=depth, activation=activation, init="he")
        yield Config("recipe", f"sound-{activation}-conv{depth}", make, "digits-image")


FAMILIES.add("recipe", configs)
