"""Everything that `borrowed` promises to leave alone, bit for bit, as plain values that can be compared."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def bits(tensor: Tensor) -> tuple[Any, ...]:
    """A tensor: where it is, what it looks like, and its bytes."""
    if torch.nn.parameter.is_lazy(tensor):
        return (id(tensor), type(tensor))
    return (
        id(tensor),
        type(tensor),
        tensor.untyped_storage()._cdata,
        tensor.storage_offset(),
        tensor.shape,
        tensor.stride(),
        tensor.dtype,
        tensor.requires_grad,
        tensor._version,
        bytes(tensor.untyped_storage().tolist()),
        None if not tensor.is_leaf or tensor.grad is None else bits(tensor.grad),
        sorted((tensor._backward_hooks or {}).items()) if tensor.is_leaf else None,
        dict(vars(tensor)),
    )


def plain(value: Any, depth: int = 0) -> Any:
    """Any attribute of a module, deeply."""
    if isinstance(value, Tensor):
        return bits(value)
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, dict):
        return id(value), [(key, plain(item, depth + 1)) for key, item in value.items()]
    if isinstance(value, list | tuple | set):
        return id(value), [plain(item, depth + 1) for item in value]
    if isinstance(value, nn.Module) or not hasattr(value, "__dict__") or callable(value) or depth > 4:
        return repr(type(value)), id(value) if isinstance(value, nn.Module) else repr(value)
    return id(value), plain(vars(value), depth + 1)


def of_model(model: nn.Module) -> dict[str, Any]:
    """A model: every module, its class, mode, tensors and attributes."""
    return {f"{path}:{type(m).__name__}:{m.training}": plain(vars(m)) for path, m in model.named_modules()}


def of_process() -> dict[str, Any]:
    """Settings and generators of the process."""
    return {
        "python": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "modes": list(torch.overrides._get_current_function_mode_stack()),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
        "autocast": [(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in ("cpu", "cuda")],
        "autocast cache": torch.is_autocast_cache_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "call": nn.Module.__call__,
        "filters": list(warnings.filters),
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "path": list(sys.path),
        "recursion": sys.getrecursionlimit(),
        "signals": [signal.getsignal(n) for n in sorted(signal.valid_signals())],
    }
