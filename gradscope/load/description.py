"""What was analysed, in words: of a model that runs, and of one that is only described."""

from __future__ import annotations

from torch import nn

from gradscope.load.inputs import Example
from gradscope.load.inputs.given import described as inputs_in_words
from gradscope.schema import SubjectInfo


def described(model: nn.Module, call: Example, name: str, loss: str, *, seed: int, training: bool) -> SubjectInfo:
    """The record that goes into every report.

    Args:
        model: the module; on the meta device where nothing was built.
        call: its example inputs.
        name: how the report calls it.
        loss: in words.
        seed: of everything random.
        training: whether it runs in train mode.
    """
    parameters = list(model.parameters())
    return SubjectInfo(
        target=name,
        class_name=type(model).__name__,
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        inputs=inputs_in_words(model, call.args, call.kwargs),
        inputs_from=call.origin,
        loss=loss,
        seed=seed,
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        device=str(parameters[0].device),
        training=training,
    )
