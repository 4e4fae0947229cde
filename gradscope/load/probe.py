"""Run the model once on its inputs, to see what it returns, or to say in one sentence why it does not run."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gradscope.borrow import borrowed
from gradscope.load.failure import USER_ERRORS, failure, is_out_of_memory
from gradscope.load.output import named_tensors


def output(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, training: bool, seed: int) -> Any:
    """What the model returns, with its autograd graph; the model is left as it was.

    Raises:
        GradscopeError: the model raised; the sentence names the layer and the shapes.
    """
    try:
        with borrowed(model, training=training, seed=seed):
            return model(*args, **kwargs)
    except USER_ERRORS as error:
        layer = _layer(model, error)
        doing = f"The forward pass through {layer}" if layer else "The forward pass"
        if is_out_of_memory(error):
            raise failure(doing, error) from error
        raise failure(
            doing, error, hint=f"The inputs were {_shapes(args, kwargs)}; change them with --input."
        ) from error


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


def _shapes(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    tensors: list[Tensor] = [t for _, t in named_tensors((args, dict(kwargs)))]
    return ", ".join(f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in tensors) or "no tensors"
