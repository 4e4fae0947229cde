"""Which modules are one layer, and which functional ops only rearrange."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_TRANSPARENT = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.ParameterList,
    nn.ParameterDict,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)
_LAYERS = ("torch.nn.modules", "torch.ao.nn")
_MAX_PARAMETERS = 2  # weight and bias: a childless module with more of them holds more than one layer

_REARRANGING = {
    "H", "T", "adjoint", "alias", "align_to", "as_strided", "bfloat16", "chunk", "clone", "contiguous", "cpu", "cuda",
    "diagonal", "double", "dsplit", "flatten", "flip", "fliplr", "flipud", "float", "getitem", "half", "hsplit", "imag",
    "mH", "mT", "moveaxis", "movedim", "narrow", "permute", "pixel_shuffle", "pixel_unshuffle", "ravel", "real",
    "refine_names", "rename", "requires_grad", "reshape", "reshape_as", "roll", "rot90", "select", "split",
    "split_with_sizes", "squeeze", "swapaxes", "swapdims", "t", "tensor_split", "to", "transpose", "type", "type_as",
    "unbind", "unflatten", "unsqueeze", "view", "view_as", "view_as_complex", "view_as_real", "vsplit",
}  # fmt: skip


def is_leaf(module: nn.Module, args: tuple[Any, ...], *, is_root: bool) -> bool:
    """Whether a call of this module is one layer.

    torch.nn's own modules are, containers excepted, and scripted modules, which cannot be looked into; so is a
    module of the user without children and with at most a weight and a bias, such as a hand-written norm or
    activation, unless it is the whole model or is handed other modules to run.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if isinstance(module, _TRANSPARENT):
        return False
    is_parametrized = parametrize.is_parametrized(module)
    kind = type(module).__mro__[1] if is_parametrized else type(module)
    if kind.__module__.startswith(_LAYERS):
        return True
    if is_root or any(isinstance(a, nn.Module) for a in args):
        return False
    has_children = not is_parametrized and any(True for _ in module.children())
    return not has_children and sum(1 for _ in module.parameters(recurse=False)) <= _MAX_PARAMETERS


def is_wrapper(module: nn.Module) -> bool:
    """Whether a module of torch only runs another: a compiled, parallel or distributed model."""
    kind = type(module).__module__
    return kind.startswith("torch.") and not kind.startswith(_LAYERS)


def is_rearranging(op: str, source: Tensor | None, output: Tensor | None) -> bool:
    """Whether an op only moves entries of its input, each at most once, so that its Jacobian has norm 1."""
    if op not in _REARRANGING or source is None or output is None or output.numel() > source.numel():
        return False
    if output.dtype != source.dtype and not (output.is_floating_point() or output.is_complex()):
        return False
    if op != "getitem":
        return True
    is_strided = output.layout == source.layout and not output.is_sparse
    return is_strided and output.untyped_storage().data_ptr() == source.untyped_storage().data_ptr()
