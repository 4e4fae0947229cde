"""Which modules are one layer and what functional ops are called: the same names as a measured run gives them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

_CONTAINERS = (
    nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict, nn.Transformer,
    nn.TransformerEncoder, nn.TransformerDecoder, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
)  # fmt: skip
_MOST_PARAMETERS = 2
_REARRANGING = frozenset(
    [
        "view",
        "view_as",
        "reshape",
        "reshape_as",
        "flatten",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "transpose",
        "permute",
        "movedim",
        "moveaxis",
        "swapaxes",
        "swapdims",
        "t",
        "T",
        "mT",
        "H",
        "mH",
        "adjoint",
        "contiguous",
        "clone",
        "to",
        "type",
        "type_as",
        "float",
        "double",
        "half",
        "bfloat16",
        "cpu",
        "cuda",
        "requires_grad",
        "split",
        "split_with_sizes",
        "tensor_split",
        "chunk",
        "unbind",
        "narrow",
        "select",
        "getitem",
        "view_as_real",
        "view_as_complex",
        "real",
        "imag",
        "flip",
        "fliplr",
        "flipud",
        "roll",
        "rot90",
        "diagonal",
        "alias",
        "as_strided",
        "pixel_shuffle",
        "pixel_unshuffle",
        "hsplit",
        "vsplit",
        "dsplit",
        "ravel",
        "numpy_T",
        "get",
        "detach",
    ]
)
_OPERATORS = {"truediv": "div", "floordiv": "floor_divide", "rtruediv": "div", "itruediv": "div"}


def is_leaf(module: nn.Module) -> bool:
    """Whether a call of this module is one layer: torch's own, or childless with at most a weight and a bias."""
    if isinstance(module, _CONTAINERS):
        return False
    is_parametrized = parametrize.is_parametrized(module)
    kind = type(module).__mro__[1] if is_parametrized else type(module)
    if kind.__module__.startswith("torch.nn.modules"):
        return True
    has_children = any(True for _ in module.children()) and not is_parametrized
    return not has_children and sum(1 for _ in module.parameters(recurse=False)) <= _MOST_PARAMETERS


def function_name(function: Any) -> str:
    """The plain name of a torch callable: `Tensor.__iadd__` and `Tensor.add_` are both "add"."""
    name = getattr(function, "__name__", None) or type(function).__name__
    if name in ("__get__", "__set__"):
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        plain = name[1:] if name[:1] in "ir" and hasattr(torch.Tensor, f"__{name[1:]}__") else name
        return _OPERATORS.get(name, _OPERATORS.get(plain, plain))
    return name.strip("_") or name


def is_rearranging(name: str) -> bool:
    """Whether an op only moves entries, and so is no layer of its own."""
    return name in _REARRANGING
