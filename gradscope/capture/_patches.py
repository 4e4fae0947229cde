"""Tells the tape of module calls and custom autograd functions, which a torch function mode does not see."""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch._C._functorch import maybe_current_level
from torch.utils.checkpoint import CheckpointFunction

from gradscope.capture._layers import Layers
from gradscope.capture._tape import Tape


@contextmanager
def recording(tape: Tape, layers: Layers) -> Iterator[None]:
    """Everything that this thread runs inside goes to `tape`."""
    thread = threading.get_ident()
    call = nn.Module.__call__
    apply = torch.autograd.Function.__dict__["apply"]

    def is_recording() -> bool:
        return not tape.record.is_paused and threading.get_ident() == thread

    def recorded_call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if is_recording():
            return tape.call_module(call, module, args, kwargs)
        return call(module, *args, **kwargs)

    def recorded_apply(function: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
        plain = types.MethodType(apply.__func__, function)
        if not is_recording() or maybe_current_level() is not None:
            return plain(*args, **kwargs)
        if function is CheckpointFunction:  # it only saves memory, and hides the gradients inside
            return args[0](*args[2:])
        if _runs_modules(args):
            with layers.hidden():
                return plain(*args, **kwargs)
        return tape.call_function(_named(plain, function), args, kwargs)

    with ExitStack() as stack:
        stack.callback(setattr, nn.Module, "__call__", call)
        stack.callback(setattr, torch.autograd.Function, "apply", apply)
        nn.Module.__call__ = recorded_call
        torch.autograd.Function.apply = classmethod(recorded_apply)  # pyright: ignore[reportAttributeAccessIssue]
        stack.enter_context(tape)
        yield


def _runs_modules(args: tuple[Any, ...]) -> bool:
    """Whether a custom autograd function is handed modules or functions to run, as reversible networks do."""
    return any(callable(a) or (isinstance(a, list | tuple) and any(map(callable, a))) for a in args)


def _named(apply: Any, function: type[torch.autograd.Function]) -> Any:
    @functools.wraps(function, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        return apply(*args, **kwargs)

    return call
