"""Whether a model's parameters can be analysed at all: there, real, finite and trainable."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gradscope.load.failure import USER_ERRORS, failure
from gradscope.schema import GradscopeError


def check_parameters(model: nn.Module, name: str) -> None:
    """Raise a GradscopeError unless `model` has finite, dense parameters with memory, some of them trainable.

    Uninitialized parameters of lazy modules pass: the first forward pass makes them.
    """
    try:
        parameters = dict(model.named_parameters())
    except USER_ERRORS as error:  # a module without super().__init__(), or with parameters() of its own
        raise failure(f"Reading the parameters of {name}", error) from error
    if any("quantized" in type(module).__module__ for module in model.modules()):
        raise GradscopeError(f"{name} is quantized, and quantized weights have no gradient; give the float model.")
    check_trainable(parameters, name)
    for key, parameter in parameters.items():
        if not is_lazy(parameter):
            _check(name, key, parameter)


def check_trainable(parameters: Mapping[str, Tensor], name: str) -> None:
    """Raise a GradscopeError unless there is a parameter to train."""
    if not parameters:
        raise GradscopeError(f"{name} has no parameters, so there is nothing to train.")
    if not any(p.requires_grad for p in parameters.values()):
        raise GradscopeError(f"{name} has no trainable parameter: requires_grad is False on all {len(parameters)}.")


def _check(name: str, key: str, parameter: Tensor) -> None:
    what = f"{name}: parameter {key} {tuple(parameter.shape)}"
    if parameter.device.type == "meta":
        raise GradscopeError(f"{what} is on the meta device and holds no numbers; build the model on the CPU.")
    if parameter.layout is not torch.strided:
        raise GradscopeError(f"{what} is sparse ({parameter.layout}); only dense parameters can be analysed.")
    finite = torch.isfinite(parameter.detach())
    if not bool(finite.all()):
        bad = int(finite.numel() - finite.sum())
        raise GradscopeError(
            f"{what} holds {bad} value{'s' if bad > 1 else ''} that are NaN or infinite; repair its initialization "
            "or checkpoint first."
        )
