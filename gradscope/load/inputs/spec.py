"""The shape and meaning of one input tensor, before any number is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Values = Literal["normal", "uniform", "ids", "ones", "false", "boxes", "constant"]

SMALL_BATCH, BATCH = 4, 8  # samples
LARGE_SAMPLE = 40_000  # elements of one sample from which on the batch is small: 128 x 128 pixels in colour
BOX_CORNER = 1000  # corners of text boxes on a page are scaled to 0..1000


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor to draw.

    Attributes:
        shape: without the batch.
        values: what the numbers are: standard normal, uniform in 0..1, ids in [0, `high`), ones, all False,
            corners of boxes, or the integer `high` everywhere.
        high: exclusive upper bound of the ids, or the constant.
        batch_at: where the batch dimension goes; None for a tensor that has none.
        dtype: of the tensor; None for the model's own floating-point type, or int64 where values are integers.
        avoid: ids that must not be drawn, such as padding and image placeholders.
    """

    shape: tuple[int, ...]
    values: Values = "normal"
    high: int = 2
    batch_at: int | None = 0
    dtype: torch.dtype | None = None
    avoid: frozenset[int] = frozenset()

    @property
    def elements(self) -> int:
        """Elements of one sample."""
        return torch.Size(self.shape).numel()

    def draw(self, batch: int, generator: torch.Generator, floating: torch.dtype) -> Tensor:
        """A tensor of this kind with `batch` samples; `floating` is the type of the model's parameters."""
        shape = list(self.shape)
        if self.batch_at is not None:
            shape.insert(self.batch_at, batch)
        integer = self.dtype or torch.int64
        match self.values:
            case "normal":
                return torch.randn(shape, generator=generator).to(self.dtype or floating)
            case "uniform":
                return torch.rand(shape, generator=generator).to(self.dtype or floating)
            case "ones":
                return torch.ones(shape, dtype=self.dtype or floating)
            case "false":
                return torch.zeros(shape, dtype=torch.bool)
            case "constant":
                return torch.full(shape, self.high, dtype=integer)
            case "boxes":
                corners = torch.randint(BOX_CORNER, shape, generator=generator, dtype=integer)
                first, second = corners.chunk(2, dim=-1)
                return torch.cat([first.minimum(second), first.maximum(second)], dim=-1)
            case "ids":
                drawn = torch.randint(max(1, self.high - len(self.avoid)), shape, generator=generator, dtype=integer)
                for reserved in sorted(self.avoid):
                    drawn += drawn >= reserved  # shift past it: uniform over the ids that remain
                return drawn


@dataclass(frozen=True, slots=True)
class Candidate:
    """Inputs to try: `TensorSpec`s, also nested in lists and dictionaries, and in words where they come from."""

    label: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """How many samples: fewer of large ones."""
        specs = tree_leaves((self.args, self.kwargs))
        return SMALL_BATCH if any(s.elements >= LARGE_SAMPLE for s in specs if isinstance(s, TensorSpec)) else BATCH

    def draw(
        self, generator: torch.Generator, floating: torch.dtype, device: torch.device | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments of a real call."""

        def drawn(leaf: Any) -> Any:
            if not isinstance(leaf, TensorSpec):
                return leaf
            return leaf.draw(self.batch, generator, floating).to(device)

        return tree_map(drawn, self.args), tree_map(drawn, dict(self.kwargs))


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """`function` of every leaf of nested tuples, lists and dictionaries."""
    if isinstance(tree, Mapping):
        return {key: tree_map(function, value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(tree_map(function, value) for value in tree)
    return function(tree)


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dictionaries, in order."""
    leaves: list[Any] = []
    tree_map(leaves.append, tree)
    return leaves
