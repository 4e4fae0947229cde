"""Which model of a file is meant: `make_model()`, `build()`, `model`, or its one root class."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import nn

from gradscope.load import mentions
from gradscope.load.failure import shown
from gradscope.schema import GradscopeError

Factory = Callable[[], nn.Module]

FACTORIES = ("make_model", "build")
INSTANCE = "model"
_CONFIGURATIONS = ("config", "cfg", "args", "hparams", "options", "params")  # how arguments that hold them end


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One way to get a model out of a file: what to call, and how the user would name it."""

    name: str
    factory: Factory
    is_instance: bool = False  # the factory returns an object of the file and builds nothing


def named(module: ModuleType, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_call: bool) -> Choice:
    """The attribute of a module that the user named, called with the arguments the user wrote.

    Raises:
        GradscopeError: there is none of that name, it is no model, or the arguments do not fit.
    """
    where = getattr(module, "__file__", None) or module.__name__
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            known = [key for key in vars(module) if _is_candidate(module, key)]
            raise GradscopeError(f"{shown(where)} has no {name!r}; it defines {', '.join(known) or 'no model'}.")
        value = getattr(value, part)
    if isinstance(value, nn.Module) and not is_call:
        model: nn.Module = value
        return Choice(name, lambda: model, is_instance=True)
    if not callable(value) or isinstance(value, nn.Module):
        raise GradscopeError(f"{name} in {shown(where)} is a {type(value).__name__}, not a model or what builds one.")
    if isinstance(value, type) and not args and not kwargs:
        return _class_choice(module, value)
    build: Callable[..., Any] = value
    missing = _missing_arguments(build, args, kwargs)
    if missing:
        raise GradscopeError(f"{name} needs {_list(missing)}; write {_call_form(where, name, missing)}.")
    return Choice(name, lambda: build(*args, **kwargs))


def found(module: ModuleType, tree: ast.Module) -> Choice:
    """The model of a file when the user named none.

    In this order: `make_model()`, `build()`, an instance called `model`, the one instance at top level, the
    one root class that can be built without arguments, the one function without arguments that returns a model of
    the file. A class that another model class of the file mentions is a part and no root.

    Raises:
        GradscopeError: there is no model, more than one, or it cannot be built without arguments.
    """
    for name in FACTORIES:
        if callable(getattr(module, name, None)):
            return named(module, name, (), {}, is_call=True)
    instances = [key for key, value in vars(module).items() if isinstance(value, nn.Module)]
    if INSTANCE in instances or len(instances) == 1:
        return named(module, INSTANCE if INSTANCE in instances else instances[0], (), {}, is_call=False)
    if len(instances) > 1:
        raise _ambiguous(module, instances)
    return _root_class(module, tree)


def _root_class(module: ModuleType, tree: ast.Module) -> Choice:
    classes = {key: value for key, value in vars(module).items() if _is_model_class(module, value)}
    where = shown(str(module.__file__))
    if not classes:
        raise GradscopeError(
            f"{where} defines no nn.Module with a forward(); define a make_model() or a class, or name one that it "
            f"imports, as in {where}:Name."
        )
    roots = mentions.roots(tree, set(classes)) or sorted(classes)
    choices, problems = [], []
    for name in roots:
        try:
            choices.append(_class_choice(module, classes[name]))
        except GradscopeError as error:
            problems.append(error)
    if len(choices) == 1:
        return choices[0]
    if choices:
        raise _ambiguous(module, [choice.name for choice in choices])
    builders = [
        name
        for name in mentions.makers(tree, set(classes))
        if callable(built := getattr(module, name, None)) and not _missing_arguments(built, (), {})
    ]
    if len(builders) == 1:
        return named(module, builders[0], (), {}, is_call=True)
    if builders:
        raise _ambiguous(module, builders)
    if len(problems) == 1:
        raise problems[0]
    raise GradscopeError(
        f"{where} defines {_list(roots)}, and all need arguments; write for example {where}:{roots[-1]}(...), "
        "or a make_model() in the file."
    )


def _class_choice(module: ModuleType, cls: type) -> Choice:
    """Build a class without arguments, or with the defaults of the file's one configuration class."""
    missing = _missing_arguments(cls, (), {})
    if not missing:
        return Choice(cls.__name__, cls)
    config = _config_class(module) if len(missing) == 1 and missing[0].endswith(_CONFIGURATIONS) else None
    if config is not None:
        return Choice(f"{cls.__name__}({config.__name__}())", lambda: cls(config()))
    where = str(getattr(module, "__file__", None) or module.__name__)
    form = _call_form(where, cls.__name__, missing)
    raise GradscopeError(f"{cls.__name__} needs {_list(missing)} to be built; write {form}, or a make_model().")


def _config_class(module: ModuleType) -> type | None:
    configs = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
        if dataclasses.is_dataclass(value)
        and not issubclass(value, nn.Module)
        and not _missing_arguments(value, (), {})
    ]
    return configs[0] if len(configs) == 1 else None


def _missing_arguments(callee: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """Names of the required parameters that a call would lack.

    Raises:
        GradscopeError: the arguments do not fit the signature.
    """
    try:
        signature = inspect.signature(callee)
    except ValueError:  # a builtin without a signature: the call itself will tell
        return []
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        name = getattr(callee, "__name__", "the target")
        raise GradscopeError(f"{name}{signature} cannot be called that way: {error}.") from error
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in variadic and name not in bound.arguments
    ]


def _is_model_class(module: ModuleType, value: Any) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
        and getattr(value.forward, "__name__", "") != "_forward_unimplemented"
    )


def _is_candidate(module: ModuleType, key: str) -> bool:
    value = vars(module)[key]
    return isinstance(value, nn.Module) or _is_model_class(module, value) or key in FACTORIES


def _ambiguous(module: ModuleType, names: list[str]) -> GradscopeError:
    where = shown(str(module.__file__))
    return GradscopeError(
        f"{where} defines {len(names)} models, {_list(names)}; choose one, as in {where}:{names[-1]}, "
        "or define make_model()."
    )


def _call_form(where: str, name: str, missing: list[str]) -> str:
    return f"{shown(where)}:{name}({', '.join(f'{argument}=...' for argument in missing)})"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
