"""From what the user has (a file, a name, a module) to a `Subject` that runs; user code in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from gradscope.load.isolation import run_isolated as run_isolated
from gradscope.schema import Subject, SubjectInfo

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradscope.load.inputs import Example
    from gradscope.load.source import Blueprint

T = TypeVar("T")


def blueprint(
    target: str | nn.Module | Callable[[], nn.Module], seed: int, settings: Mapping[str, Any] | None = None
) -> Blueprint:
    """How to build a target, without building it; `settings` replace values of its configuration or call.

    Raises:
        GradscopeError: there is no such target.
    """
    from gradscope.load.source import blueprint

    return blueprint(target, seed, settings)


def run_by_shape(
    blueprint: Blueprint,
    model: nn.Module,
    run: Callable[[tuple[Any, ...], Mapping[str, Any]], T],
    inputs: Any = None,
    input_specs: Sequence[str] = (),
    *,
    seed: int = 0,
) -> tuple[Example, T]:
    """Find the inputs of a model on the meta device by their shapes, and what `run(args, kwargs)` made of them.

    Raises:
        GradscopeError: the model cannot be analysed; the sentence says why and what to try.
    """
    from gradscope.load.check import check_trainable
    from gradscope.load.inputs.shapes import tried

    check_trainable(dict(model.named_parameters()), blueprint.name)
    return tried(blueprint, model, run, inputs=inputs, specs=input_specs, seed=seed)


def described(model: nn.Module, call: Example, name: str, loss: str, *, seed: int, training: bool) -> SubjectInfo:
    """What was analysed, in words."""
    from gradscope.load.description import described

    return described(model, call, name, loss, seed=seed, training=training)


def subject(
    target: str | nn.Module | Callable[[], nn.Module],
    inputs: Any = None,
    *,
    targets: Any = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Callable[[int], Any] | None = None,
    seed: int = 0,
    training: bool = True,
    input_specs: Sequence[str] = (),
    loss_name: str | None = None,
    weights: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Subject:
    """Build a target, find its inputs and its loss, and check that it runs.

    The target's code runs in this process; see `run_isolated`. All generators are seeded meanwhile and restored.

    Args:
        target: a module, a function that builds one, or text such as "model.py:Net(depth=30)", "hf:gpt2".
        inputs: a tensor, a tuple of positional or a dictionary of keyword arguments; found if None.
        targets: what the loss compares the output with.
        loss: called as loss(output, targets).
        batches: seed -> an iterable of (inputs, targets).
        seed: of initialization, drawn inputs, drawn labels and dropout.
        training: whether the model runs in train mode.
        input_specs: shapes such as "8,3,224,224" or "8,64:int64".
        loss_name: one of `objective.LOSS_NAMES`.
        weights: a checkpoint for the model.
        settings: replaces values of a configuration, or arguments of the function, that the target names.

    Raises:
        GradscopeError: the target cannot be analysed; the sentence says why and what to try.
    """
    from gradscope.load.check import check_parameters
    from gradscope.load.definition import line_of
    from gradscope.load.inputs import example
    from gradscope.load.objective import objective
    from gradscope.load.probe import output
    from gradscope.load.source import materialized, source, with_weights

    built = source(target, seed, settings)
    if weights is not None:
        built = with_weights(built, weights)
    check_parameters(built.model, built.name)
    call = example(built, inputs, input_specs, training=training, seed=seed)
    built = materialized(built, call.args, call.kwargs, seed)
    model = built.model
    returned = output(model, call.args, call.kwargs, training=training, seed=seed)
    goal = objective(
        returned,
        call.tensors,
        targets=call.targets if targets is None else targets,
        loss=loss or built.attribute("loss"),
        loss_name=loss_name,
        seed=seed,
    )
    del returned
    info = described(model, call, built.name, goal.words, seed=seed, training=training)
    info = replace(info, source=line_of(built.module, built.name))
    return Subject(
        info=info,
        model=model,
        args=call.args,
        kwargs=call.kwargs,
        loss=goal.loss,
        targets=goal.targets,
        rebuild=built.rebuild,
        batches=batches or built.attribute("batches"),
        classes=goal.classes,
    )
