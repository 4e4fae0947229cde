"""Run the model once on its inputs, to see what it returns, or to say in one sentence why it does not run."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gradscope.borrow import borrowed
from gradscope.load.failure import USER_ERRORS, failure
from gradscope.load.inputs.given import described
from gradscope.pytree import map_tensors


def output(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, training: bool, seed: int) -> Any:
    """What the model returns; the model is left as it was.

    The output knows whether it is differentiable, but its autograd graph has kept no tensors, so that a look at
    the output costs the memory of inference.

    Raises:
        GradscopeError: the model raised; the sentence names the layer and the shapes.
    """
    try:
        with borrowed(model, training=training, seed=seed), torch.compiler.set_stance("force_eager"):
            try:
                with torch.autograd.graph.saved_tensors_hooks(_forget, _refuse):
                    return _called(model, args, kwargs)
            except GradientsInsideError:
                return _called(model, args, kwargs)
    except USER_ERRORS as error:
        layer = _layer(model, error)
        doing = f"The forward pass through {layer}" if layer else "The forward pass"
        hint = f"The inputs were {described(model, args, kwargs)}; change them with --input."
        raise failure(doing, error, hint=hint) from error


def _called(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The output for copies of the inputs, since a model may write into them."""
    args, kwargs = map_tensors((args, dict(kwargs)), torch.clone)
    return model(*args, **kwargs)


class GradientsInsideError(Exception):
    """The model or its loss goes backward itself, and needs what the graph of a mere look has not kept."""


def _forget(tensor: torch.Tensor) -> None:
    return None


def _refuse(_: None) -> torch.Tensor:
    raise GradientsInsideError


def _layer(model: nn.Module, error: BaseException) -> str | None:
    """Name and class of the innermost module whose call was under way."""
    names = {id(module): name for name, module in model.named_modules()}
    calls = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    inner = next((m for m in reversed(calls) if isinstance(m, nn.Module) and names.get(id(m))), None)
    return f"{names[id(inner)]} ({_briefly(inner)})" if inner is not None else None


def _briefly(module: nn.Module) -> str:
    """Class of a module, with the arguments that its representation shows where it has no parts."""
    name = type(module).__name__
    return name if next(module.children(), None) is not None else f"{name}({module.extra_repr()})"
