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
class Blueprint:
    """A target that is found and not yet built.

    Attributes:
        name: how the report calls it, e.g. "model.py:Net".
        build: builds it on whatever device is the default, each time with the same initialization.
        module: the Python file or module it comes from, which may define `example_inputs`, `loss` and `batches`.
        existing: the object that the target names, where it was built before anyone asked.
    """

    name: str
    build: Factory
    module: ModuleType | None = None
    existing: nn.Module | None = None

    def attribute(self, name: str) -> Any:
        """A function that the target's file defines for us, or None."""
        return getattr(self.module, name, None)


@dataclass(frozen=True, slots=True)
class Source:
    """A target made real.

    Attributes:
        name: as of a `Blueprint`.
        model: the module.
        rebuild: builds an independent copy of `model` with the same initialization.
        module: as of a `Blueprint`.
    """

    name: str
    model: nn.Module
    rebuild: Factory
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
    found = _found(target, seed, settings)
    model = found.build() if found.existing is None else found.existing
    return Source(found.name, model, found.build, found.module)


def blueprint(target: str | nn.Module | Factory, seed: int, settings: Mapping[str, Any] | None = None) -> Blueprint:
    """What `source` does, up to the point where the model would be built.

    Raises:
        GradscopeError: the target cannot be found, or its name stands for an object of a module, which cannot be built.
    """
    with torch.device("meta"):
        found = _found(target, seed, settings)
    if isinstance(target, str) and found.existing is not None and parse(target).kind == "module":
        raise GradscopeError(f"{found.name} exists as soon as it is imported; name a function or class that builds it.")
    return found


def _found(target: str | nn.Module | Factory, seed: int, settings: Mapping[str, Any] | None) -> Blueprint:
    if isinstance(target, nn.Module):
        model = uncompiled(target)
        return Blueprint(type(model).__name__, lambda: _copied(model), existing=model)
    if isinstance(target, str):
        return _found_by_name(parse(target).changed(settings or {}), seed)
    if callable(target):
        name = getattr(target, "__name__", type(target).__name__)
        return Blueprint(name, _builder(name, target, seed))
    raise GradscopeError(
        f"A target is a torch.nn.Module, a function that builds one, or text such as 'model.py:Net', "
        f"not a {type(target).__name__}."
    )


def _found_by_name(target: Target, seed: int) -> Blueprint:
    if target.kind in ("hf", "timm", "torchvision"):
        return Blueprint(target.text, _builder(target.text, zoo.factory(target), seed))
    module, choice = _module(target, seed)
    name = f"{target.text.split(':')[0]}:{choice.name}" if not target.is_call else target.text
    if not choice.is_instance:
        return Blueprint(name, _builder(name, choice.factory, seed), module)
    existing = uncompiled(choice.factory())
    return Blueprint(
        name, _executed(target, seed) if target.kind == "file" else lambda: _copied(existing), module, existing
    )


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
