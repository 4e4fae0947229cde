"""A twin of a model: the same modules over parameters of its own, so that an initializer can be watched."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_DONE = "_is_hf_initialized"  # set by a loader on tensors that its initializer is to leave alone


def twin_of(model: nn.Module) -> nn.Module:
    """A module tree of the same classes and attributes whose parameters are NaN and whose buffers are copies.

    Attributes are shared, not copied: a model may hold what no deep copy can handle. What is shared between modules,
    such as tied weights, is shared in the twin.
    """
    return _module(model, {})


def is_written(parameter: Tensor) -> bool:
    """Whether every element of a twin's parameter has been given a value."""
    return parameter.numel() > 0 and not bool(parameter.isnan().any())


def _module(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    if isinstance(module, torch.jit.ScriptModule):
        return module
    if id(module) not in memo:
        memo[id(module)] = copy = object.__new__(type(module))
        vars(copy).update(
            vars(module)
            | {
                "_modules": {n: m if m is None else _module(m, memo) for n, m in module._modules.items()},
                "_parameters": {n: _parameter(p, memo) for n, p in module._parameters.items()},
                "_buffers": {n: b if b is None else b.clone() for n, b in module._buffers.items()},
            }
        )
    return memo[id(module)]


def _parameter(parameter: nn.Parameter | None, memo: dict[int, Any]) -> nn.Parameter | None:
    if parameter is None or is_lazy(parameter):
        return parameter
    if id(parameter) not in memo:
        value = parameter.detach()
        value = torch.full_like(value, torch.nan) if is_readable(parameter) else value.clone()
        fresh = nn.Parameter(value, requires_grad=parameter.requires_grad)
        for name, value in vars(parameter).items():
            if name != _DONE:
                setattr(fresh, name, value)
        memo[id(parameter)] = fresh
    return memo[id(parameter)]


def is_readable(parameter: Tensor) -> bool:
    """Whether a parameter's elements lie in memory as real numbers, at least one of them."""
    return (
        type(parameter) in (nn.Parameter, Tensor)
        and parameter.layout == torch.strided
        and parameter.device.type != "meta"
        and parameter.is_floating_point()
        and parameter.element_size() > 1
        and parameter.numel() > 0
    )
