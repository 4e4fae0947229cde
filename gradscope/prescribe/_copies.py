"""Copies of the user's model, and the text of a remedy executed on them."""

from __future__ import annotations

import ast
import copy
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gradscope.borrow import seeded
from gradscope.schema import GradscopeError, Subject


def untouched(subject: Subject, seed: int) -> nn.Module:
    """A copy of the model as it is born, without gradients, in the mode that is analysed."""
    with seeded(seed):
        model = subject.rebuild() if subject.rebuild is not None else copy.deepcopy(subject.model)
        model.zero_grad(set_to_none=True)
        return model.train(subject.info.training)


def treated(subject: Subject, code: str, inputs: Any, seed: int) -> nn.Module:
    """A copy on which the text of a remedy has been executed, as a user would who pastes it.

    Args:
        subject: whose model is copied.
        code: Python that changes or replaces the variable `model`; it may read `inputs`.
        inputs: a batch of inputs.
        seed: of what the text draws.

    Raises:
        whatever the text raises.
    """
    variables: dict[str, Any] = {"model": untouched(subject, seed), "inputs": inputs}
    with seeded(seed):
        exec(compile(code, "<prescription>", "exec"), variables)
    model = variables["model"]
    if not isinstance(model, nn.Module):
        raise GradscopeError(f"The text left a {type(model).__name__} in `model`.")
    return model.train(subject.info.training)


def is_of_training(code: str) -> bool:
    """Whether the text of a remedy changes how the model is trained: it reads the variable `optimizer`."""
    return any(isinstance(node, ast.Name) and node.id == "optimizer" for node in ast.walk(ast.parse(code)))


def tune(code: str, inputs: Any, model: nn.Module, optimizer: Optimizer) -> None:
    """Execute a text that changes how the model is trained, between making the optimizer and the first step."""
    variables = {"model": model, "optimizer": optimizer, "inputs": inputs}
    exec(compile(code, "<prescription>", "exec"), variables)


def treated_subject(subject: Subject, code: str, inputs: Any) -> Subject:
    """The subject with the remedy applied, ready to be measured again."""
    seed = subject.info.seed
    rebuild = partial(treated, subject, code, inputs, seed)
    model = rebuild()
    parameters = list(model.parameters())
    info = replace(
        subject.info,
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
    )
    return replace(subject, info=info, model=model, rebuild=rebuild)
