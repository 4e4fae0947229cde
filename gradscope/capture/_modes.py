"""The modes a call ran under, for those who call it again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

Modes = tuple[Any, ...]
_DEVICES = ("cpu", "cuda")


def modes(*, is_writing: bool) -> Modes:
    """What decides the value of a torch call beside its arguments: autocast and, where it writes, the grad mode."""
    is_grad_enabled = torch.is_grad_enabled() if is_writing else None
    return is_grad_enabled, *((torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in _DEVICES)


class InModes:
    """A callable, called under the modes that it was recorded under."""

    def __init__(self, function: Callable[..., Any], modes: Modes) -> None:
        self.function = function
        self.__name__ = self.__qualname__ = str(getattr(function, "__name__", type(function).__name__))
        self._is_grad_enabled, *self._autocast = modes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            if self._is_grad_enabled is not None:
                stack.enter_context(torch.set_grad_enabled(self._is_grad_enabled))
            for device, (is_enabled, dtype) in zip(_DEVICES, self._autocast, strict=True):
                if is_enabled != torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=is_enabled, dtype=dtype))
            return self.function(*args, **kwargs)
