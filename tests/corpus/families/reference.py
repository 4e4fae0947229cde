"""The well-configured model of each task: what the others are measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.data import TASKS, task
from tests.corpus.nets import attention, conv, mlp, recurrent


def _transformer(name: str, depth: int) -> nn.Module:
    data = task(name)
    model = attention.TokenNetwork(data.features, data.outputs, depth=depth, is_text=name == "text")
    return attention.initialize(model, residual=(2 * depth) ** -0.5)


def _recurrent(name: str, cell: str) -> nn.Module:
    data = task(name)
    model = recurrent.Recurrent(data.features, data.outputs, cell=cell, is_text=name == "text")
    return recurrent.initialize(model, "orthogonal", forget=1.0)


def configs() -> Iterator[Config]:
    """Two or three standard models a task."""

    def one(name: str, kind: str, make: Callable[[], nn.Module]) -> Config:
        is_table = name in ("diabetes", "digits-autoencoder")
        targets = "standardized" if name == "diabetes" else "given"
        return Config(
            "reference",
            f"{name}-{kind}",
            make,
            name,
            "mse" if is_table else "cross-entropy",
            targets=targets,
        )

    for name in TASKS:
        data = task(name)
        if name == "text" or name.startswith("digits-rows"):
            yield one(name, "gru", partial(_recurrent, name, "gru"))
            yield one(name, "lstm", partial(_recurrent, name, "lstm"))
            if name in ("text", "digits-rows"):
                yield one(name, "transformer-2", partial(_transformer, name, 2))
        elif name == "digits-image":
            yield one(name, "conv", partial(conv.plain, 10, depth=2, init="he", head="flat"))
            yield one(name, "resnet", partial(conv.residual, 10, depth=3, norm="batch2d", init="he", head="flat"))
        else:
            sizes = (data.features, data.outputs)
            yield one(name, "relu-2", partial(mlp.plain, *sizes, depth=2, width=48, init="he"))
            yield one(name, "gelu-3", partial(mlp.plain, *sizes, depth=3, width=48, activation="gelu", init="he"))
            yield one(name, "batchnorm-3", partial(mlp.plain, *sizes, depth=3, width=48, norm="batch", init="he"))


FAMILIES.add("reference", configs)
