"""A target made real: the model, how to build it once more, and what its file says beside it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradscope.borrow import seeded
from gradscope.load import choose, source_file, zoo
from gradscope.load.failure import USER_ERRORS, failure
from gradscope.load.target import Target, parse
from gradscope.load.weights import load_weights
from gradscope.schema import GradscopeError

Factory = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Source:
    """What a target leads to.

    Attributes:
        name: how the report calls it, e.g. "model.py:Net".
        model: the module.
        rebuild: builds an independent copy of `model` with the same initialization.
        module: the Python file or module it came from, which may define `example_inputs`, `loss` and `batches`.
    """

    name: str
    model: nn.Module
    rebuild: Factory
    module: ModuleType | None = None

    def attribute(self, name: str) -> Any:
        """A function that the target's file defines for us, or None."""
        return getattr(self.module, name, None)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A target that is not built yet: `build` builds it on whatever device is the default.

    `module` is the Python file or module that it comes from.
    """

    name: str
    build: Factory
    module: ModuleType | None = None

    def attribute(self, name: str) -> Any:
        """A function that the target's file defines for us, or None."""
        return getattr(self.module, name, None)


def source(target: str | nn.Module | Factory, seed: int, settings: Mapping[str, Any] | None = None) -> Source:
    """Build the model of a target with all random generators seeded, and restore them afterwards.

    Args:
        target: a module, a function that builds one, or text.
        seed: of everything random.
        settings: replaces values of the configuration, or arguments of the function, that the text names.

    Raises:
        GradscopeError: it cannot be built; the sentence says why and what to try.
    """
    if isinstance(target, nn.Module):
        model = uncompiled(target)
        return Source(type(model).__name__, model, lambda: _copied(model))
    if isinstance(target, str):
        return _of_text(parse(target).changed(settings or {}), seed)
    if callable(target):
        name = getattr(target, "__name__", type(target).__name__)
        return _built(name, target, seed)
    raise GradscopeError(
        f"A target is a torch.nn.Module, a function that builds one, or text such as 'model.py:Net', "
        f"not a {type(target).__name__}."
    )


def blueprint(target: str | nn.Module | Factory, seed: int, settings: Mapping[str, Any] | None = None) -> Blueprint:
    """What `source` does, up to the point where the model would be built; a module is there already.

    Raises:
        GradscopeError: the target cannot be found, or its name stands for an object that exists already.
    """
    if isinstance(target, nn.Module):
        model = uncompiled(target)
        return Blueprint(type(model).__name__, lambda: model)
    if not isinstance(target, str):
        name = getattr(target, "__name__", type(target).__name__)
        return Blueprint(name, _builder(name, target, seed))
    wanted = parse(target).changed(settings or {})
    if wanted.kind in ("hf", "timm", "torchvision"):
        return Blueprint(wanted.text, _builder(wanted.text, zoo.factory(wanted), seed))
    with torch.device("meta"):
        module, choice = _module(wanted, seed)
    name = f"{wanted.text.split(':')[0]}:{choice.name}" if not wanted.is_call else wanted.text
    if choice.is_instance and wanted.kind == "module":
        raise GradscopeError(f"{name} exists as soon as it is imported; name a function or class that builds it.")
    factory = _executed(wanted, seed) if choice.is_instance else choice.factory
    return Blueprint(name, _builder(name, factory, seed), module)


def uncompiled(model: nn.Module) -> nn.Module:
    """The module that `torch.compile` wrapped: it is analysed as it was written."""
    original = getattr(model, "_orig_mod", None)
    return original if isinstance(original, nn.Module) else model


def with_weights(source: Source, path: str) -> Source:
    """The same source, whose model and every rebuilt copy holds the tensors of a checkpoint.

    Raises:
        GradscopeError: the checkpoint cannot be read safely or does not fit.
    """

    def rebuild() -> nn.Module:
        model = source.rebuild()
        load_weights(model, path)
        return model

    return replace(source, model=rebuild(), rebuild=rebuild)


def materialized(source: Source, args: tuple[Any, ...], kwargs: Mapping[str, Any], seed: int) -> Source:
    """The same source, with lazy modules run once on a copy: their parameters exist from then on."""
    if not any(is_lazy(p) for p in source.model.parameters()):
        return source

    def rebuild() -> nn.Module:
        model = source.rebuild()
        try:
            with seeded(seed), torch.no_grad():
                model(*args, **kwargs)
        except USER_ERRORS as error:
            raise failure(f"The first forward pass of {source.name}", error) from error
        return model

    return replace(source, model=rebuild(), rebuild=rebuild)


def _of_text(target: Target, seed: int) -> Source:
    if target.kind in ("hf", "timm", "torchvision"):
        return _built(target.text, zoo.factory(target), seed)
    module, choice = _module(target, seed)
    name = f"{target.text.split(':')[0]}:{choice.name}" if not target.is_call else target.text
    if not choice.is_instance:
        return _built(name, choice.factory, seed, module)
    again = _executed(target, seed)
    rebuild = again if target.kind == "file" else lambda: _copied(choice.factory())
    return Source(name, uncompiled(choice.factory()), rebuild, module=module)


def _executed(target: Target, seed: int) -> Factory:
    """An object is made by its file, so the file is executed once more."""
    return lambda: uncompiled(_module(target, seed)[1].factory())


def _module(target: Target, seed: int) -> tuple[ModuleType, choose.Choice]:
    with seeded(seed):
        load = source_file.execute if target.kind == "file" else source_file.imported
        module = load(target.place)
    if target.name is not None:
        choice = choose.named(module, target.name, target.args, target.kwargs, is_call=target.is_call)
        return module, choice
    with open(target.place, "rb") as file:
        return module, choose.found(module, ast.parse(file.read()))


def _built(name: str, factory: Factory, seed: int, module: ModuleType | None = None) -> Source:
    build = _builder(name, factory, seed)
    return Source(name, build(), build, module=module)


def _builder(name: str, factory: Factory, seed: int) -> Factory:
    def build() -> nn.Module:
        try:
            with seeded(seed):
                model: Any = factory()
        except USER_ERRORS as error:
            raise failure(f"Building {name}", error) from error
        if not isinstance(model, nn.Module):
            raise GradscopeError(f"{name} returned a {type(model).__name__}, not a torch.nn.Module.")
        return uncompiled(model)

    return build


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except USER_ERRORS as error:
        hint = "Pass a function that builds the model instead of the model."
        raise failure(f"Copying {type(model).__name__}", error, hint=hint) from error
