"""Tells the tape of module calls and custom autograd functions, which a torch function mode does not see."""

from __future__ import annotations

import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from gradscope.capture._tape import Tape


@contextmanager
def recording(tape: Tape) -> Iterator[None]:
    """Everything that this thread runs inside goes to `tape`; compiled parts run eagerly."""
    thread = threading.get_ident()
    call_module = nn.Module._call_impl
    apply = torch.autograd.Function.__dict__["apply"]

    def recorded_call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if tape._is_paused or threading.get_ident() != thread:
            return call_module(module, *args, **kwargs)
        return tape.call_module(module, lambda: call_module(module, *args, **kwargs), args, kwargs)

    def recorded_apply(function: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
        plain = types.MethodType(apply.__func__, function)
        is_inside = torch._C._functorch.maybe_current_level() is not None
        if tape._is_paused or is_inside or threading.get_ident() != thread:
            return plain(*args, **kwargs)
        if function.__name__ == "CheckpointFunction":  # reentrant checkpoint: run it plainly, it only saves memory
            return args[0](*args[2:])
        if any(isinstance(a, nn.Module) for a in args):  # a function that runs modules, as reversible nets do
            return plain(*args, **kwargs)
        return tape.call_function(_named(plain, function), lambda: plain(*args, **kwargs), args, kwargs)

    nn.Module._call_impl = recorded_call  # pyright: ignore[reportAttributeAccessIssue]
    torch.autograd.Function.apply = classmethod(recorded_apply)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        with torch.compiler.set_stance("force_eager"), tape:
            yield
    finally:
        nn.Module._call_impl = call_module  # pyright: ignore[reportAttributeAccessIssue]
        torch.autograd.Function.apply = apply  # pyright: ignore[reportAttributeAccessIssue]


def _named(apply: Any, function: type[torch.autograd.Function]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        return apply(*args, **kwargs)

    call.__name__ = function.__name__
    return call
