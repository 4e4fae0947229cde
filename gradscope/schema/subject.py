"""What is analysed: a model that can be run, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """What was analysed, in words: it goes into every report."""

    target: str
    class_name: str
    parameters: int
    trainable_parameters: int
    inputs: str
    inputs_from: str  # how the example inputs were found, and how to override them
    loss: str
    seed: int
    dtype: str
    device: str
    training: bool
    source: str | None = None  # "file:line" of what builds the model, where that is known


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that can be run: module, example inputs, targets, loss and how to build it again.

    Attributes:
        model: the user's module, borrowed.
        args: positional example inputs.
        kwargs: keyword example inputs.
        loss: maps (output, targets) to a scalar tensor, differentiable.
        targets: what `loss` compares with; None where the loss needs none.
        rebuild: builds a fresh, independent copy of the model (same initialization); None if impossible.
        batches: seed -> an iterable of (inputs, targets) for trials on real data; None if the user gave none.
        classes: number of classes when the loss is a cross-entropy, else None.
    """

    info: SubjectInfo
    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loss: Callable[[Any, Any], Tensor]
    targets: Any
    rebuild: Callable[[], nn.Module] | None = None
    batches: Callable[[int], Iterable[tuple[Any, Any]]] | None = None
    classes: int | None = None
