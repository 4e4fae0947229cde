"""The registry of layer families: which rule speaks for a call, and how rules read a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.registry import Registry
from gradscope.schema import LayerCall
from gradscope.spectra._spectrum import LayerSpectrum
from gradscope.spectra._sweep import Sweep, tensors

Rule = Callable[[LayerCall, Sweep], LayerSpectrum | None]

RULES: Registry[Rule] = Registry("gradscope.spectra")

_TRUSTED = ("torch", "transformers")  # packages whose class names say what a layer computes


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Declare a function as the rule of module classes and functions with these names.

    A rule returns None for a case it does not know; the call then goes the generic way.
    """

    def declare(function: Rule) -> Rule:
        for op in ops:
            RULES.add(op, function)
        return function

    return declare


def rule_of(call: LayerCall) -> Rule | None:
    """The rule that speaks for a call.

    A module is known by the class that defines its `forward`, so a subclass that only changes the constructor is
    recognised and one that computes something else is not.
    """
    rules = RULES.load()
    if call.module is None:
        return rules.get(name_of(call)) or rules.get(call.op)
    if isinstance(call.module, torch.jit.ScriptModule):
        return None
    forward = type(call.module).forward
    for cls in type(call.module).__mro__:
        if cls.__dict__.get("forward") is forward and cls.__module__.split(".")[0] in _TRUSTED:
            return rules.get(cls.__name__)
    return None


def name_of(call: LayerCall) -> str:
    """The function's own name without underscores: "add_" is "add", but "__rsub__" is "rsub", its operands swapped."""
    return getattr(call.function, "__name__", call.op).strip("_")


def argument(call: LayerCall, index: int, name: str, default: Any = None) -> Any:
    """An argument of a functional call, given by position or by name."""
    if name in call.kwargs:
        return call.kwargs[name]
    return call.args[index] if index < len(call.args) else default


def data(call: LayerCall) -> list[Tensor]:
    """The distinct floating-point or complex arguments that depend on the model's inputs, as far as is known."""
    found: list[Tensor] = []
    for tensor in tensors((call.args, call.kwargs)):
        is_smooth = tensor.is_floating_point() or tensor.is_complex()
        if is_smooth and not is_constant(call, tensor) and not any(tensor is other for other in found):
            found.append(tensor)
    return found


def is_constant(call: LayerCall, tensor: Tensor) -> bool:
    """Whether the tensor is a parameter, a view of one, or known not to depend on the model's inputs."""
    if isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter):
        return True
    return any(tensor is other for other in call.constants or ())


def is_alone(call: LayerCall, x: Tensor) -> bool:
    """Whether `x` is all that carries signal: no weight, gain or bias is computed from the model's inputs."""
    return call.constants is None or all(t is x for t in data(call))
