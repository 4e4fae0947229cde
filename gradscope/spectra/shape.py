"""Views, joins and look-ups: every output entry copies at most one input entry."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gradscope.schema import LayerCall
from gradscope.spectra._matrix import real
from gradscope.spectra._replay import replay
from gradscope.spectra._rules import argument, data, rule
from gradscope.spectra._spectrum import SOURCE, LayerSpectrum, exact
from gradscope.spectra._sweep import Sweep, tensors


@rule(
    *("Identity", "Flatten", "Unflatten", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle"),
    *("view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "permute"),
    *("transpose", "t", "swapaxes", "swapdims", "movedim", "moveaxis", "T", "mT", "adjoint", "contiguous", "clone"),
    *("chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit", "dsplit", "unbind", "select", "narrow"),
    *("roll", "flip", "fliplr", "flipud", "rot90", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "diagonal"),
    *("to", "type", "float", "double", "half", "bfloat16", "type_as", "cpu", "cuda", "identity", "alias", "positive"),
    *("native_channel_shuffle", "requires_grad", "unsafe_chunk", "unsafe_split", "slice"),
)
def rearrangement(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """No entry is copied twice: σ = 1, or 0 where nothing is left."""
    x = _moved(call)
    outputs = [t for t in tensors(call.output) if t.is_floating_point() or t.is_complex()]
    if x is None or not outputs:
        return SOURCE
    if x.is_complex() or any(t.is_complex() for t in outputs):
        return None
    kept = sum(t.numel() for t in outputs)
    return exact(float(kept > 0), math.sqrt(kept / max(1, x.numel())), x.numel())


@rule("expand", "expand_as", "broadcast_to", "repeat", "tile", "repeat_interleave")
def repetition(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Every entry is copied r times: √r; unequal repeats are counted."""
    x = _moved(call)
    if x is None:
        return SOURCE
    if isinstance(argument(call, 1, "repeats"), Tensor) or x.is_complex():
        return copies(call, sweep)
    factor = math.sqrt(call.output.numel() / max(1, x.numel()))
    return exact(factor, factor, x.numel())


def _moved(call: LayerCall) -> Tensor | None:
    """The tensor whose entries are moved, if it carries signal; another one may lend its shape or its dtype."""
    inputs, first = data(call), argument(call, 0, "input")
    if isinstance(first, Tensor):
        return next((t for t in inputs if t is first), None)
    return inputs[0] if inputs else None


@rule("getitem")
def indexing(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """Slices copy nothing twice; index tensors may."""
    if not isinstance(call.args[0], Tensor):
        return rearrangement(call, sweep)
    has_index_tensor = any(True for _ in tensors(call.args[1])) or _has_list(call.args[1])
    return copies(call, sweep) if has_index_tensor else rearrangement(call, sweep)


@rule(
    *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "block_diag"),
    *("ZeroPad1d", "ZeroPad2d", "ZeroPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d"),
    *("ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "pad"),
    *("CircularPad1d", "CircularPad2d", "CircularPad3d", "Unfold", "unfold", "as_strided", "tril", "triu", "diag"),
    *("gather", "index_select", "take", "take_along_dim", "masked_select", "diag_embed", "select_scatter"),
    *("slice_scatter", "masked_scatter", "scatter", "index_copy", "index_put", "setitem", "meshgrid", "MaxUnpool1d"),
    *("MaxUnpool2d", "MaxUnpool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d", "index_fill"),
)
def copies(call: LayerCall, sweep: Sweep) -> LayerSpectrum | None:
    """σ² is how often the most popular entry is copied: the largest entry of Jᵀ1, by one backward pass."""
    inputs = data(call)
    if not inputs:
        return SOURCE
    is_adding = "reduce" in call.kwargs or argument(call, 3, "accumulate", False) is True
    if any(t.is_complex() for t in inputs) or not isinstance(call.output, Tensor) or is_adding:
        return None
    function = replay(call, inputs)
    with torch.enable_grad():
        leaves = [torch.zeros_like(real(t)).requires_grad_() for t in inputs]
        gradients = torch.autograd.grad(function(*leaves).sum(), leaves, allow_unused=True)
    counts = [g for g in gradients if g is not None and g.numel()]
    columns = sum(t.numel() for t in inputs)
    if not counts:
        return exact(0.0, 0.0, columns)
    method = "exact" if len(inputs) == 1 else f"exact (jointly in {len(inputs)} inputs)"
    most, total = max(g.max().item() for g in counts), sum(g.double().sum().item() for g in counts)
    return exact(math.sqrt(most), math.sqrt(total / columns), columns, method)


@rule("detach", "data")
def stopped_gradient(call: LayerCall, sweep: Sweep) -> LayerSpectrum:
    """What autograd is told to ignore passes nothing back."""
    if not data(call):
        return SOURCE
    columns = call.args[0].numel()
    return exact(0.0, 0.0, columns, "exact (gradient stopped)")


def _has_list(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, list) or (isinstance(part, Tensor) and part.dtype == torch.bool) for part in parts)
