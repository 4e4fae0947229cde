"""Transformers: place of the norm x depth x weight scale x residual scale, on image rows and on text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

from torch import nn

from tests.corpus.config import FAMILIES, Config
from tests.corpus.nets import attention

MAIN = tuple(product(("pre", "post", "none"), (2, 6), (None, 0.02, 0.2, 1.0)))
DEEP = tuple(product(("pre", "post", "none"), (10,), (None, 0.02)))
TEXT = tuple(product(("pre", "post", "none"), (2, 5), (None, 0.02, 0.5)))
NO_SKIP = tuple(product(("pre", "none"), (1, 3, 6)))
SHARP = tuple(product(("pre", "post"), (0.01, 100.0), (3,)))


def _build(task: str, *, std: float | None = None, residual: float = 1.0, **structure: Any) -> nn.Module:
    is_text = task == "text"
    features, outputs = (35, 35) if is_text else (8, 10)
    model = attention.TokenNetwork(features, outputs, is_text=is_text, **structure)
    return attention.initialize(model, std, residual)


def configs() -> Iterator[Config]:
    """Eight tokens: the rows of an image, or characters."""

    def one(name: str, task: str, **settings: Any) -> Config:
        return Config("transformer", f"{name}-{task}", partial(_build, task, **settings), task)

    for placement, depth, std in (*MAIN, *DEEP):
        name = f"{placement}-std{std or 'default'}-depth{depth}"
        yield one(name, "digits-rows", placement=placement, depth=depth, std=std)
    for placement, depth, std in TEXT:
        name = f"{placement}-std{std or 'default'}-depth{depth}"
        yield one(name, "text", placement=placement, depth=depth, std=std)
    for placement, depth in NO_SKIP:
        yield one(f"no-skip-{placement}-depth{depth}", "digits-rows", placement=placement, depth=depth, has_skip=False)
    for placement, temperature, depth in SHARP:
        name = f"{placement}-temperature{temperature:g}-depth{depth}"
        yield one(name, "digits-rows", placement=placement, depth=depth, temperature=temperature)
    for depth, task in product((4, 8), ("digits-rows", "text")):
        yield one(f"pre-gpt2-depth{depth}", task, placement="pre", depth=depth, std=0.1, residual=(2 * depth) ** -0.5)


FAMILIES.add("transformer", configs)
