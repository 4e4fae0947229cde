"""Names that users know: of torch functions, and of the line of code that ran them."""

from __future__ import annotations

import os
import sys
from typing import Any

import torch

_TORCH = os.path.dirname(torch.__file__) + os.sep
_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
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


def is_in_place(function: Any, kwargs: dict[str, Any]) -> bool:
    """Whether the callable may overwrite its first argument."""
    if kwargs.get("inplace") or kwargs.get("out") is not None:
        return True
    name = getattr(function, "__name__", "")
    if name.startswith("__"):
        return name == "__setitem__" or (name.startswith("__i") and name not in ("__invert__", "__index__", "__int__"))
    return name.endswith("_")


def user_source() -> str | None:
    """ "file:line" of the nearest frame outside torch and this package, relative to the import path."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_TORCH, _OURS, "<")):
            return f"{_relative(file)}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _relative(file: str) -> str:
    roots = [os.getcwd(), *(p for p in sys.path if p)]
    inside = [root for root in roots if file.startswith(os.path.join(root, ""))]
    return os.path.relpath(file, max(inside, key=len)) if inside else file
