"""Put a checkpoint's tensors into a model, so that it can be analysed in the middle of its training."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gradscope.load.failure import shown
from gradscope.raised import sentence
from gradscope.schema import GradscopeError

NESTED_UNDER = ("state_dict", "model_state_dict", "model", "module", "net", "weights", "ema", "params")
WRAPPERS = ("module.", "_orig_mod.", "model.")  # DataParallel, torch.compile, a Lightning module's attribute
NAMES_SHOWN = 3


def load_weights(model: nn.Module, path: str) -> None:
    """Copy the tensors of a `.safetensors` file or of a `torch.save`d state dict into `model`.

    Nothing of a checkpoint is executed: it is read with `weights_only=True`, so a pickled module is refused.

    Raises:
        GradscopeError: the file cannot be read safely, or its names and shapes are not the model's.
    """
    state = _unwrapped(_read(path), set(model.state_dict()), path)
    own = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    shared = {own[name].data_ptr() for name in own if name in state}  # tied weights are stored once
    missing = [name for name in own if name not in state and own[name].data_ptr() not in shared]
    unexpected = [name for name in state if name not in own]
    shapes = [
        f"{name} {tuple(state[name].shape)} for {tuple(own[name].shape)}"
        for name in own
        if name in state and _shape(own[name]) not in (None, tuple(state[name].shape))
    ]
    faults = [
        f"{len(names)} {kind} ({', '.join(names[:NAMES_SHOWN])}{', ...' if len(names) > NAMES_SHOWN else ''})"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if faults:
        raise GradscopeError(f"{shown(path)} does not fit {type(model).__name__}: {'; '.join(faults)}.")
    model.load_state_dict(state, strict=False)


def _shape(tensor: Tensor) -> tuple[int, ...] | None:
    """The shape, or None while a lazy module does not know it."""
    return None if is_lazy(tensor) else tuple(tensor.shape)


def _read(path: str) -> Any:
    try:
        if path.endswith(".safetensors"):
            return _read_safetensors(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise GradscopeError(f"{path}: no such file.") from error
    except pickle.UnpicklingError as error:
        raise GradscopeError(
            f"{shown(path)} is a pickle that would run code when loaded (a whole module or other objects), or it is "
            "damaged; save model.state_dict() instead and give the file that defines the model as target."
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise GradscopeError(f"{shown(path)} cannot be read as a checkpoint: {sentence(error)}") from error


def _read_safetensors(path: str) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise GradscopeError("`pip install safetensors` to read .safetensors files.") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise GradscopeError(f"{shown(path)} cannot be read as a checkpoint: {sentence(error)}") from error


def _unwrapped(loaded: Any, names: set[str], path: str) -> dict[str, Tensor]:
    """The state dict inside what was loaded: out of its nesting, and without a wrapper's prefix."""
    state = loaded
    while isinstance(state, Mapping) and not any(isinstance(value, Tensor) for value in state.values()):
        key = next((key for key in NESTED_UNDER if isinstance(state.get(key), Mapping)), None)
        if key is None:
            break
        state = state[key]
    if not isinstance(state, Mapping) or not any(isinstance(value, Tensor) for value in state.values()):
        keys = f" with the keys {', '.join(map(str, list(loaded)[:8]))}" if isinstance(loaded, Mapping) else ""
        raise GradscopeError(f"{shown(path)} holds a {type(loaded).__name__}{keys}, not a state dict of tensors.")
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    for prefix in WRAPPERS:
        if all(key.startswith(prefix) for key in tensors) and not any(name.startswith(prefix) for name in names):
            tensors = {key[len(prefix) :]: value for key, value in tensors.items()}
    return tensors
