"""From what the user has (a file, a name, a module) to a `Subject` that runs; user code in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradscope.load.isolation import run_isolated as run_isolated
from gradscope.schema import Subject, SubjectInfo

if TYPE_CHECKING:
    from torch import Tensor, nn


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

    Raises:
        GradscopeError: the target cannot be analysed; the sentence says why and what to try.
    """
    from gradscope.load.check import check_parameters
    from gradscope.load.inputs import example
    from gradscope.load.inputs.given import described
    from gradscope.load.objective import objective
    from gradscope.load.probe import output
    from gradscope.load.source import materialized, source, with_weights

    built = source(target, seed)
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
    parameters = list(model.parameters())
    info = SubjectInfo(
        target=built.name,
        class_name=type(model).__name__,
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        inputs=described(model, call.args, call.kwargs),
        inputs_from=call.origin,
        loss=goal.words,
        seed=seed,
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        device=str(parameters[0].device),
        training=training,
    )
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
