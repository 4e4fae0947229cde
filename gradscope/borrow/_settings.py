"""Settings of the process that user code can change: what they were is what they are afterwards."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

_DEVICES = ("cpu", "cuda")


@contextmanager
def settings() -> Iterator[None]:
    """Run eagerly and differentiably inside; put every setting back that has changed."""
    with ExitStack() as stack:
        for read, write in _settings():
            stack.callback(_put_back, read, write, read())
        stack.enter_context(warnings.catch_warnings())
        torch.backends.mha.set_fastpath_enabled(False)  # fused attention has no derivative of its own
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and to import it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], Any]]]:
    """How to read and how to write each setting."""
    yield torch.get_default_dtype, torch.set_default_dtype
    yield _default_device, torch.set_default_device
    yield torch.is_grad_enabled, torch.set_grad_enabled
    yield torch.get_num_threads, torch.set_num_threads
    yield torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    yield torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode
    yield torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly
    yield torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled
    for device in _DEVICES:
        yield partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device)
        yield partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)
    yield torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled
    yield sys.getrecursionlimit, sys.setrecursionlimit
    yield os.getcwd, os.chdir
    yield partial(dict, os.environ), _set_environment
    yield sys.path.copy, partial(sys.path.__setitem__, slice(None))
    if threading.current_thread() is threading.main_thread():  # elsewhere, handlers cannot be set
        for number in signal.valid_signals():
            yield partial(signal.getsignal, number), partial(signal.signal, number)


def _put_back(read: Callable[[], Any], write: Callable[[Any], Any], before: Any) -> None:
    if read() != before:
        write(before)


def _default_device() -> torch.device | None:
    """The default device, None if nobody has set one: with one set, every call goes through a function mode."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


def _set_environment(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
