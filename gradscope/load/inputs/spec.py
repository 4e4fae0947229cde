"""The shape and meaning of the inputs of one call, before any number is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

Values = Literal["normal", "uniform", "ids", "nodes", "ones", "false", "boxes", "constant", "grid"]

SMALL_BATCH, BATCH = 4, 8  # samples
LARGE_SAMPLE = 40_000  # elements of one sample from which on the batch is small: 128 x 128 pixels in colour
BOX_CORNER = 1000  # corners of text boxes on a page are scaled to 0..1000
UNNAMED = "_"  # entry of a record, until the model has said what it calls it
PER_SAMPLE = -1  # in a shape: as many as the batch has samples


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor to draw.

    Attributes:
        shape: of one sample.
        values: what the numbers are: standard normal, uniform in 0..1, ids in [0, `high`), ones, all False,
            corners of boxes, the integer `high` everywhere, node numbers of a graph whose nodes are the samples,
            or (frames, rows, columns) of a grid of `high` x `high` patches.
        high: exclusive upper bound of the ids, or the constant.
        batch_at: where the batch dimension goes; None for a tensor that has none.
        is_packed: whether the samples are laid end to end in the first dimension instead.
        dtype: of the tensor; None for the model's own floating-point type, or int64 where values are integers.
        avoid: ids that must not be drawn, such as padding.
        placeholder: (id, count): that many places, after the first, hold this id, where images go into a text.
    """

    shape: tuple[int, ...]
    values: Values = "normal"
    high: int = 2
    batch_at: int | None = 0
    is_packed: bool = False
    dtype: torch.dtype | None = None
    avoid: frozenset[int] = frozenset()
    placeholder: tuple[int, int] | None = None

    @property
    def elements(self) -> int:
        """Elements of one sample."""
        return torch.Size(abs(size) for size in self.shape).numel()

    @property
    def is_floating(self) -> bool:
        """Whether it holds numbers of the model's own type."""
        return self.values in ("normal", "uniform") and self.dtype is None

    def resized(self, *shape: int) -> TensorSpec:
        """The same kind of tensor in another shape."""
        return replace(self, shape=shape)

    def draw(self, batch: int, generator: torch.Generator, floating: torch.dtype) -> Tensor:
        """A tensor of this kind with `batch` samples; `floating` is the type of the model's parameters."""
        shape = [batch if size == PER_SAMPLE else size for size in self.shape]
        if self.batch_at is not None:
            shape.insert(self.batch_at, batch)
        tensor = self._draw(shape, batch, generator, floating)
        if self.placeholder is not None:
            identifier, count = self.placeholder
            tensor[..., 1 : 1 + count] = identifier
        return tensor.flatten(0, 1) if self.is_packed else tensor

    def _draw(self, shape: list[int], batch: int, generator: torch.Generator, floating: torch.dtype) -> Tensor:
        number, integer = self.dtype or floating, self.dtype or torch.int64
        match self.values:
            case "normal":
                return torch.randn(shape, generator=generator).to(number)
            case "uniform":
                return torch.rand(shape, generator=generator).to(number)
            case "ones":
                return torch.ones(shape, dtype=number)
            case "false":
                return torch.zeros(shape, dtype=torch.bool)
            case "constant":
                return torch.full(shape, self.high, dtype=integer)
            case "grid":
                return torch.tensor([[1, self.high, self.high]]).expand(*shape, 3).clone()
            case "nodes":
                return torch.randint(batch, shape, generator=generator)
            case "boxes":
                corners = torch.randint(BOX_CORNER, shape, generator=generator, dtype=integer)
                first, second = corners.chunk(2, dim=-1)
                return torch.cat([first.minimum(second), first.maximum(second)], dim=-1)
            case "ids":
                drawn = torch.randint(max(1, self.high - len(self.avoid)), shape, generator=generator, dtype=integer)
                for reserved in sorted(self.avoid):
                    drawn += drawn >= reserved  # shift past it: uniform over the ids that remain
                return drawn

    def __str__(self) -> str:
        return f"{self.values} {self.shape}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Inputs to try.

    Attributes:
        label: where they come from, in words.
        inputs: argument of `forward` -> `TensorSpec`, or lists and dictionaries of them, or plain values.
        is_likely: whether a real run shall judge, because the model's own configuration tells these sizes and
            runs without data sometimes refuse what really works.
    """

    label: str
    inputs: Mapping[str, Any]
    is_likely: bool = False

    def changed(self, **inputs: Any) -> Candidate:
        """The same candidate with some inputs replaced or added."""
        return replace(self, inputs={**self.inputs, **inputs})

    def resized(self, name: str, *shape: int) -> Candidate:
        """The same candidate with another shape of one input, and of all that were like it."""
        old = self.inputs[name]
        new = old.resized(*shape)
        return replace(self, inputs={key: new if value == old else value for key, value in self.inputs.items()})

    @property
    def main(self) -> tuple[str, TensorSpec] | None:
        """Name and tensor of the first input that is a tensor."""
        return next(((name, spec) for name, spec in self.inputs.items() if isinstance(spec, TensorSpec)), None)

    @property
    def batch(self) -> int:
        """How many samples: fewer of large ones."""
        specs = [leaf for leaf in tree_leaves(dict(self.inputs)) if isinstance(leaf, TensorSpec)]
        return SMALL_BATCH if any(spec.elements >= LARGE_SAMPLE for spec in specs) else BATCH

    def draw(self, generator: torch.Generator, floating: torch.dtype, device: torch.device) -> dict[str, Any]:
        """The real inputs."""

        def drawn(leaf: Any) -> Any:
            if isinstance(leaf, TensorSpec):
                return leaf.draw(self.batch, generator, floating).to(device)
            return leaf

        return tree_map(drawn, dict(self.inputs))


class Fields(dict[str, Any]):
    """A dictionary whose keys are attributes as well, like the batches of graph libraries."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"'Fields' object has no attribute {name!r}")
        return self[name]


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """`function` of every leaf of nested tuples, lists and dictionaries."""
    if isinstance(tree, Mapping):
        kind = Fields if isinstance(tree, Fields) else dict
        return kind({key: tree_map(function, value) for key, value in tree.items() if key != UNNAMED})
    if isinstance(tree, tuple | list):
        values = [tree_map(function, value) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return function(tree)


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dictionaries, in order."""
    leaves: list[Any] = []
    tree_map(leaves.append, tree)
    return leaves
