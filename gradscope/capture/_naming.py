"""Plain names of torch functions."""

from __future__ import annotations

from typing import Any

import torch

_DUNDERS = {"truediv": "div", "floordiv": "floor_divide", "rtruediv": "div", "itruediv": "div", "invert": "bitwise_not"}


def function_name(function: Any) -> str:
    """The plain name of a torch callable: `Tensor.__iadd__` and `Tensor.add_` are both "add"."""
    name = getattr(function, "__name__", None) or type(function).__name__
    if name in ("__get__", "__set__"):  # a property such as Tensor.T
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        plain = name[1:] if name[:1] in "ir" and hasattr(torch.Tensor, f"__{name[1:]}__") else name
        return _DUNDERS.get(name, _DUNDERS.get(plain, plain))
    return name.rstrip("_").lstrip("_") or name
