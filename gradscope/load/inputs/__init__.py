"""The example inputs of a model: the user's own, or found without help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gradscope.load.inputs import given, search
from gradscope.load.output import named_tensors
from gradscope.load.source import Source
from gradscope.load.streams import stream


@dataclass(frozen=True, slots=True)
class Example:
    """One call of the model.

    Attributes:
        args: positional arguments.
        kwargs: keyword arguments.
        origin: where they come from, and how to override them.
        targets: what came with them; None if nothing did.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "given"
    targets: Any = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor in the arguments."""
        return tuple(t for _, t in named_tensors((self.args, dict(self.kwargs))))


def example(source: Source, inputs: Any, specs: Sequence[str], *, training: bool, seed: int) -> Example:
    """The user's inputs, else the file's `example_inputs()`, else `--input` shapes, else found by trial.

    Raises:
        GradscopeError: what the user gave is unusable, or nothing was found.
    """
    model = source.model
    if inputs is not None:
        return Example(*given.call_arguments(model, inputs), origin="given by the caller")
    if specs:
        args, kwargs = given.drawn(model, specs, seed)
        return Example(args, kwargs, origin=f"--input {' --input '.join(specs)}")
    declared = given.declared(source, model, seed)
    if declared is not None:
        args, kwargs, targets = declared
        return Example(args, kwargs, "example_inputs() of the file", targets)
    candidate, facts = search.found(model, source.rebuild, training=training, seed=seed)
    generator = stream(seed, "inputs")
    args, kwargs = facts.call(candidate.draw(generator, facts.dtype, facts.device))
    origin = f"found by trial from {candidate.label}; override with --input, inputs=... or example_inputs()"
    return Example(args, kwargs, origin)
