"""What the model's own code says its parameters are drawn with: its initializers are run over a twin and watched."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn

from gradscope.borrow import seeded
from gradscope.measure._moments import moments_of
from gradscope.measure._named import named_deviations
from gradscope.measure._twin import is_written, twin_of
from gradscope.schema import Declaration, Estimate

_OF_A_MODULE = ("_init_weights", "init_weights", "_init_module")  # called with each module in turn
_OF_ITSELF = ("init_weights", "_init_weights", "initialize_weights", "_initialize_weights", "initialize", "weight_init")
_DEFAULTS = ("reset_parameters", "_reset_parameters")  # what torch's own constructors call
_METHOD = "the model's initializer, run again"


def declarations(model: nn.Module, drawn: Mapping[str, float], seed: int) -> dict[str, Declaration]:
    """Name of a parameter -> the standard deviations that the model's code declares for it.

    Nothing is said of a model whose classes have no initializer of their own, or one that cannot be run again.

    Args:
        model: left as it is.
        drawn: standard deviations of its parameters; the modules' own defaults are looked up where they differ from
            what the initializer leaves.
        seed: of the draws.
    """
    twin = twin_of(model)
    by_name = named_deviations(model)
    by_initializer: dict[str, Estimate] = {}
    by_default: dict[str, Estimate] = {}
    with seeded(seed), torch.no_grad():
        if _initialize(twin):
            by_initializer = {n: _deviation(p) for n, p in twin.named_parameters() if n in drawn and is_written(p)}
            different = {n for n, e in by_initializer.items() if not math.isclose(e.value, drawn[n], rel_tol=_SAME)}
            by_default = _defaults(twin, different)
    return {
        name: Declaration(by_name.get(name), by_initializer.get(name), by_default.get(name))
        for name in by_name.keys() | by_initializer.keys()
    }


_SAME = 0.05  # relative difference of standard deviations that needs no explanation


def _initialize(twin: nn.Module) -> bool:
    """Run every initializer that the modules' classes define; whether there was one, and all of them ran."""
    try:
        ran = [_apply(twin, None)]
        for module in reversed(list(twin.modules())):
            method = None if _of_a_module(module) else _own_method(module, _OF_ITSELF, _takes_nothing)
            if method is not None:
                method()
                ran.append(True)
    except Exception:  # the user's code, called out of its order: then nothing is declared
        return False
    return any(ran)


def _apply(module: nn.Module, initializer: Callable[[nn.Module], object] | None) -> bool:
    """Children first, each with the initializer of the nearest module around it that has one."""
    own = _of_a_module(module) or initializer
    ran = [_apply(child, own) for child in module.children()]
    if own is not None:
        own(module)
    return own is not None or any(ran)


def _of_a_module(module: nn.Module) -> Callable[[nn.Module], object] | None:
    return _own_method(module, _OF_A_MODULE, _takes_a_module)


def _own_method(
    module: nn.Module, names: tuple[str, ...], is_fitting: Callable[[Callable[..., object]], bool]
) -> Callable[..., object] | None:
    """The first of the methods that a class outside torch defines and that can be called so."""
    if type(module).__module__.startswith("torch."):
        return None
    methods = (getattr(module, name, None) for name in names)
    return next((m for m in methods if inspect.ismethod(m) and is_fitting(m)), None)


def _required(method: Callable[..., object]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        p
        for p in inspect.signature(method).parameters.values()
        if p.default is inspect.Parameter.empty and p.kind in kinds
    ]


def _takes_a_module(method: Callable[..., object]) -> bool:
    required = _required(method)
    return len(required) == 1 and required[0].kind is not inspect.Parameter.KEYWORD_ONLY


def _takes_nothing(method: Callable[..., object]) -> bool:
    return not _required(method)


def _deviation(parameter: Tensor) -> Estimate:
    values = parameter if parameter.dtype in (torch.float32, torch.float64) else parameter.float()
    return Estimate.exact(math.sqrt(moments_of(values)[2]), _METHOD, parameter.numel())


def _defaults(twin: nn.Module, wanted: Collection[str]) -> dict[str, Estimate]:
    """What `reset_parameters` leaves of these parameters."""
    found: dict[str, Estimate] = {}
    for path, module in twin.named_modules():
        own = {f"{path}.{n}" if path else n: p for n, p in module.named_parameters(recurse=False)}
        method = next((getattr(module, name) for name in _DEFAULTS if hasattr(module, name)), None)
        if method is not None and type(module).__module__.startswith("torch.nn") and not own.keys().isdisjoint(wanted):
            for parameter in own.values():
                parameter.fill_(torch.nan)
            method()
            found |= {name: _deviation(p) for name, p in own.items() if is_written(p)}
    return found
