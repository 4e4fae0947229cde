"""Run a call again on other inputs, without a trace in the user's model, its hooks, buffers or random state."""

from __future__ import annotations

import copy
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscope.schema import LayerCall
from gradscope.spectra._sweep import tensors

_ROUNDING = 0.02  # relative error of outputs in half precision


def replay(
    call: LayerCall,
    inputs: Sequence[Tensor],
    attributes: dict[str, Any] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> Callable[..., Any]:
    """A function of new values for `inputs` (found in the call by identity) that returns the call's output.

    Tensors and weights of a lower precision are widened; a tensor the call writes into is copied first.
    Randomness is repeated: every run draws the same numbers, and the global generators are left as they were.

    Args:
        call: what to run.
        inputs: tensors among its arguments.
        attributes: of the module, changed for these runs.
        dtype: lowest precision of the run.
    """
    module = None if call.module is None else twin(call.module, dtype)
    if module is not None:
        module.__dict__.update(attributes or {})
    function = call.function if module is None else module.forward
    places = {id(tensor): i for i, tensor in enumerate(inputs)}

    def run(*values: Tensor) -> Any:
        def swapped(tree: Any) -> Any:
            if isinstance(tree, Tensor):
                return values[places[id(tree)]].clone() if id(tree) in places else widened(tree.detach(), dtype)
            if type(tree) is dict:
                return {key: swapped(item) for key, item in tree.items()}
            if isinstance(tree, list | tuple):
                items = [swapped(item) for item in tree]
                return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
            if any(id(t) in places for t in tensors(tree)):  # an object with tensors, such as a model's output
                other = copy.copy(tree)
                vars(other).update({name: swapped(value) for name, value in vars(tree).items()})
                if isinstance(other, dict):
                    other.update({key: swapped(item) for key, item in tree.items()})
                return other
            return tree

        with randomness_kept(inputs), sdpa_kernel(SDPBackend.MATH), _plain_kernels():
            args = swapped(call.args)
            output = function(*args, **swapped(dict(call.kwargs)))
            return args[0] if output is None and args else output  # x[i] = y returns nothing: its result is x

    return run


def is_repeated(call: LayerCall, output: Any) -> bool:
    """Whether a replay gave what the call gave: a layer that draws random numbers draws others when it runs again."""
    pairs = [(a, b) for a, b in zip(tensors(call.output), tensors(output), strict=False) if a.is_floating_point()]
    return all(_is_near(a.nan_to_num(0.0, 0.0, 0.0), b.nan_to_num(0.0, 0.0, 0.0)) for a, b in pairs if a.numel())


def _is_near(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= _ROUNDING * a.abs().max())


def twin(module: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A module that shares the weights and nothing else: no hooks, its own buffers and attributes, widened."""
    if isinstance(module, torch.jit.ScriptModule):
        return module
    other = object.__new__(type(module))
    other.__dict__ = dict(module.__dict__)
    for name, value in module.__dict__.items():
        if "_hooks" in name and isinstance(value, OrderedDict):
            other.__dict__[name] = OrderedDict()
    other._buffers = {k: None if b is None else widened(b.detach().clone(), dtype) for k, b in module._buffers.items()}
    if any(p is not None and widened(p, dtype) is not p for p in module._parameters.values()):
        other._parameters = {
            k: None if p is None else nn.Parameter(widened(p.detach(), dtype), requires_grad=p.requires_grad)
            for k, p in module._parameters.items()
        }
    other._modules = {k: None if m is None else twin(m, dtype) for k, m in module._modules.items()}
    return other


def settled(call: LayerCall) -> LayerCall:
    """The call with a module whose computed weights are those that were just used.

    A parametrized weight is computed at every access, and spectral normalization iterates each time: a twin whose
    parametrizations are in eval mode repeats the last value.
    """
    if call.module is None or "parametrizations" not in call.module._modules:
        return call
    module = twin(call.module)
    module.get_submodule("parametrizations").eval()
    return replace(call, module=module)


def widened(tensor: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor, or a copy of it in `dtype` where its own has fewer digits; complex and integer ones stay."""
    return tensor.to(dtype) if tensor.is_floating_point() and tensor.itemsize < dtype.itemsize else tensor


def full_precision() -> AbstractContextManager[object]:
    """Switches off whatever autocast the model runs its layers under: spectra are computed in float32."""
    stack = ExitStack()
    for device in ("cpu", "cuda", "mps", "xpu"):
        if torch.is_autocast_enabled(device):
            stack.enter_context(torch.autocast(device, enabled=False))
    return stack


@contextmanager
def randomness_kept(inputs: Sequence[Tensor]) -> Iterator[None]:
    """Give every global random generator its present state back at the end."""
    devices = {t.device for t in tensors(list(inputs)) if t.device.type != "cpu"}
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=list(devices), enabled=True):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Switch off the fused kernels that have no second derivative: oneDNN's LSTM and the fast path of attention."""
    has_onednn, has_fast_path = torch.backends.mkldnn.enabled, torch.backends.mha.get_fastpath_enabled()
    torch.backends.mkldnn.enabled = False
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = has_onednn
        torch.backends.mha.set_fastpath_enabled(has_fast_path)
