"""Inputs by their shapes alone, for a model that is described and not built: tried without any data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from gradscope.load.failure import USER_ERRORS, failure
from gradscope.load.inputs import Example, given
from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.search import searched
from gradscope.load.inputs.spec import Candidate
from gradscope.load.inputs.trial import Outcome, feature_maps
from gradscope.load.source import Blueprint
from gradscope.load.streams import stream
from gradscope.pytree import map_tensors

T = TypeVar("T")
Run = Callable[[tuple[Any, ...], Mapping[str, Any]], T]


def tried(
    blueprint: Blueprint, model: nn.Module, run: Run[T], *, inputs: Any, specs: Sequence[str], seed: int
) -> tuple[Example, T]:
    """The inputs of a described model, in the order of `example`, and what `run` made of them.

    Floating-point inputs are on the meta device; ids and masks are drawn, since models look at them.

    Args:
        blueprint: where the model comes from.
        model: the model on the meta device.
        run: runs the model on (args, kwargs) without data; it raises what the model raises.
        inputs: what the caller gave, or None.
        specs: shapes such as "8,3,224,224".
        seed: of drawn ids.

    Raises:
        GradscopeError: the model does not run on the inputs, or none were found.
    """
    if inputs is not None:
        found = Example(*given.call_arguments(model, inputs), origin="given by the caller")
    elif specs:
        found = Example(*given.drawn(model, specs, seed), origin=f"--input {' --input '.join(specs)}")
    elif (declared := given.declared(blueprint, model, seed)) is not None:
        found = Example(declared[0], declared[1], origin="the shapes of example_inputs() of the file")
    else:
        return _searched(model, run, seed)
    found = _without_data(found)
    try:
        return found, run(found.args, found.kwargs)
    except USER_ERRORS as error:
        hint = f"The inputs were {given.described(model, found.args, found.kwargs)}; change them with --input."
        raise failure("The forward pass without data", error, hint=hint) from error


def _searched(model: nn.Module, run: Run[T], seed: int) -> tuple[Example, T]:
    facts = Facts(model)
    trial = ShapeTrial(facts, run, seed)
    candidate = searched(facts, trial)
    example = trial.example(candidate)
    return example, trial.results[repr(candidate.inputs)]


class ShapeTrial(Generic[T]):
    """Tries candidates by running the model without data; whatever runs is good enough.

    Args:
        facts: of the model.
        run: runs the model on (args, kwargs).
        seed: of drawn ids.
    """

    def __init__(self, facts: Facts, run: Run[T], seed: int) -> None:
        self.facts, self.run, self.seed = facts, run, seed
        self.results: dict[str, T] = {}
        self._outcomes: dict[str, Outcome] = {}

    def fake(self, candidate: Candidate) -> Outcome:
        """Run the model, once for the same inputs."""
        key = repr(candidate.inputs)
        if key not in self._outcomes:
            self._outcomes[key] = self._outcome(candidate, key)
        return self._outcomes[key]

    def real(self, candidate: Candidate) -> Outcome:
        """The same: there is nothing more real."""
        return self.fake(candidate)

    def example(self, candidate: Candidate) -> Example:
        """The candidate's inputs as arguments of a call."""
        inputs = candidate.draw(stream(self.seed, "inputs"), self.facts.dtype, self.facts.device)
        args, kwargs = self.facts.call(inputs)
        origin = f"found by shape from {candidate.label}; override with --input, inputs=... or example_inputs()"
        return _without_data(Example(args, kwargs, origin))

    def _outcome(self, candidate: Candidate, key: str) -> Outcome:
        try:
            example = self.example(candidate)
            with feature_maps(self.facts.model) as sides:
                self.results[key] = self.run(example.args, example.kwargs)
        except USER_ERRORS as error:
            return Outcome(error)
        return Outcome(None, 1.0, min(sides, default=float("inf")))


def _without_data(example: Example) -> Example:
    args, kwargs = map_tensors((example.args, dict(example.kwargs)), _shape_of)
    return Example(args, kwargs, example.origin)


def _shape_of(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta") if tensor.is_floating_point() else tensor.cpu()
