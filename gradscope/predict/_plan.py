"""A model on the meta device and how each of its tensors was drawn: built there, or the twin of a real one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradscope.predict import _distribution as distribution
from gradscope.predict._initial import Initializations
from gradscope.pytree import tensors_in


@dataclass(frozen=True, eq=False)
class Plan:
    """What a prediction is made from: nothing of it holds data.

    Attributes:
        model: a module on the meta device.
        initial: how its parameters and buffers were drawn.
    """

    model: nn.Module
    initial: Initializations


def plan(factory: Callable[[], nn.Module]) -> Plan:
    """Build a model on the meta device and watch how it is initialized.

    Hugging Face skips its own initialization on meta; it is asked for explicitly.

    Raises:
        Whatever the factory raises on the meta device.
    """
    recorder = Initializations()
    with torch.device("meta"), recorder:  # the recorder inside: it must be the first to see a call
        model = factory()
    initialize = getattr(model, "initialize_weights", None)
    if callable(initialize) and type(model).__module__.startswith("transformers."):
        with recorder:
            initialize()
    return Plan(model, recorder)


def twin(model: nn.Module) -> Plan:
    """The plan of a real model: its parameters count with their own distribution, its buffers with their values.

    Raises:
        Whatever copying the model raises.
    """
    recorder = Initializations()
    memo: dict[int, object] = {}
    for tensor in _tensors_of(model):
        if id(tensor) not in memo:
            memo[id(tensor)] = _described(tensor, recorder)
    return Plan(copy.deepcopy(model, memo), recorder)


def _tensors_of(model: nn.Module) -> list[Tensor]:
    attributes = [t for module in model.modules() for t in tensors_in(list(vars(module).values()))]
    return [*model.parameters(), *model.buffers(), *attributes]


def _described(tensor: Tensor, recorder: Initializations) -> Tensor:
    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        parameter = nn.Parameter(empty, requires_grad=tensor.requires_grad)
        recorder.put(parameter, distribution.of_sample(tensor))
        return parameter
    recorder.put_value(empty, tensor.detach().cpu().clone())  # the model may write into its buffers
    return empty
