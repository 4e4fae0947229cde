"""Inputs that the user gave: from Python, as `--input` shapes, or as `example_inputs()` of the file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.borrow import seeded
from gradscope.load.failure import USER_ERRORS, failure
from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.spec import TensorSpec, tree_map
from gradscope.load.source import Blueprint, Source
from gradscope.load.streams import stream
from gradscope.schema import GradscopeError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

LABEL_NAMES = ("targets", "target", "labels", "label", "y")  # parameters by which a model takes its targets

_DTYPES = {
    "float": torch.float32, "half": torch.float16, "double": torch.float64, "int": torch.int32, "long": torch.int64,
} | {
    name: getattr(torch, name)
    for name in (
        "float16", "bfloat16", "float32", "float64", "complex64", "uint8", "int8", "int16", "int32", "int64", "bool",
    )
}  # fmt: skip


def call_arguments(model: nn.Module, inputs: Any) -> Arguments:
    """A tuple is positional arguments, a mapping keyword arguments, anything else the one argument.

    A tuple or mapping that `forward` can only take whole, as its one argument, is passed whole.
    """
    if isinstance(inputs, tuple):
        whole = ((inputs,), {})
        is_whole = len(inputs) > 0 and _fits(model, whole) and not _fits(model, (inputs, {}))
        return whole if is_whole else (inputs, {})
    if isinstance(inputs, Mapping):
        whole = ((inputs,), {})
        named = ((), {str(key): value for key, value in inputs.items()})
        return whole if _fits(model, whole) and not _fits(model, named) else named
    return (inputs,), {}


def drawn(model: nn.Module, specs: Sequence[str], seed: int) -> Arguments:
    """Tensors for shapes such as "8,3,224,224", "8,64:int64" or "mask=8,64:bool", drawn with the seed.

    Floating-point inputs are standard normal; integers are valid ids of the model's first embedding.

    Raises:
        GradscopeError: a shape is not understood.
    """
    facts = Facts(model)
    generator = stream(seed, "inputs")
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in specs:
        name, equals, rest = text.rpartition("=")
        tensor = _spec(rest, text, facts).draw(0, generator, facts.dtype).to(facts.device)
        if equals:
            kwargs[name.strip()] = tensor
        else:
            args.append(tensor)
    return tuple(args), kwargs


def declared(
    source: Source | Blueprint, model: nn.Module, seed: int
) -> tuple[tuple[Any, ...], dict[str, Any], Any] | None:
    """Arguments and targets from the file's `example_inputs()`; None if it has none.

    A pair is (inputs, targets) if its first part is itself a tuple or mapping, or if `forward` does not ask for
    a second argument; a parameter named "targets" or "labels" takes them itself.
    """
    function = source.attribute("example_inputs")
    if function is None:
        return None
    try:
        with seeded(seed):
            value = function() if callable(function) else function
    except USER_ERRORS as error:
        raise failure("example_inputs()", error) from error
    if value is None:
        raise GradscopeError("example_inputs() returned None; return a tensor, a tuple of arguments or a dictionary.")
    if isinstance(value, tuple) and len(value) == 2 and _is_pair(model, value):
        return *call_arguments(model, value[0]), value[1]
    return *call_arguments(model, value), None


def described(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The arguments in words: "x float32 (8, 3, 32, 32), mask bool (8, 8)"."""
    names: list[str] = list(Facts(model).parameters)[: len(args)]
    names += [f"input {number}" for number in range(len(names), len(args))]
    named = {**dict(zip(names, args, strict=True)), **kwargs}
    return ", ".join(f"{name} {_words(value)}" for name, value in named.items()) or "none"


def _words(value: Any) -> str:
    return str(tree_map(_leaf_words, value)).replace("'", "")


def _leaf_words(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return repr(value) if isinstance(value, int | float | str) else type(value).__name__


def _is_pair(model: nn.Module, value: tuple[Any, Any]) -> bool:
    if isinstance(value[0], tuple | Mapping):
        return True
    facts = Facts(model)
    names = list(facts.parameters)
    takes_second = len(facts.required) > 1 or (len(names) > 1 and names[1] in LABEL_NAMES)
    return not takes_second and len(names) > 0


def _fits(model: nn.Module, arguments: Arguments) -> bool:
    try:
        inspect.signature(model.forward).bind(*arguments[0], **arguments[1])
    except TypeError:
        return False
    except ValueError:  # no signature to compare with
        return True
    return True


def _spec(text: str, whole: str, facts: Facts) -> TensorSpec:
    shape_text, _, dtype_name = text.strip().partition(":")
    if not re.fullmatch(r"[1-9]\d*([,x][1-9]\d*)*", shape_text):
        raise GradscopeError(f"--input {whole!r} is no shape; write for example 8,3,224,224 or 8,64:int64.")
    shape = tuple(int(size) for size in re.split("[,x]", shape_text))
    if dtype_name and dtype_name not in _DTYPES:
        raise GradscopeError(f"--input {whole!r}: there is no dtype {dtype_name!r}; known: {', '.join(_DTYPES)}.")
    dtype = _DTYPES.get(dtype_name)
    takes_ids = dtype is None and bool(facts.owners) and isinstance(facts.owners[0], nn.Embedding | nn.EmbeddingBag)
    if dtype is torch.bool:
        return TensorSpec(shape, "ones", batch_at=None, dtype=dtype)
    if takes_ids or (dtype is not None and not (dtype.is_floating_point or dtype.is_complex)):
        return TensorSpec(shape, "ids", facts.vocabulary, batch_at=None, dtype=dtype)
    return TensorSpec(shape, batch_at=None, dtype=dtype)
