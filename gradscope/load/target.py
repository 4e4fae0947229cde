"""What the user typed as a target: its kind, its place, the name in it and the arguments of a call."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gradscope.schema import GradscopeError

Kind = Literal["file", "module", "hf", "timm", "torchvision"]

_ZOOS: dict[str, Kind] = {"hf": "hf", "timm": "timm", "torchvision": "torchvision"}

FORMS = "model.py, model.py:Name(arg=1), package.module:factory(), hf:gpt2, hf:config.json, timm:name, torchvision:name"

_INSTEAD = {
    ".safetensors": "a checkpoint holds no architecture: give the file that defines the model and --weights {}",
    ".pt": "a checkpoint holds no architecture: give the file that defines the model and --weights {}",
    ".pth": "a checkpoint holds no architecture: give the file that defines the model and --weights {}",
    ".ckpt": "a checkpoint holds no architecture: give the file that defines the model and --weights {}",
    ".json": "for a Hugging Face configuration write hf:{}",
    ".ipynb": "export the notebook's model to a .py file first",
    ".onnx": "an ONNX graph has no PyTorch modules: give the Python code that it was exported from",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed target.

    Attributes:
        text: as typed.
        kind: where to look: a Python file, an importable module, or a library of models.
        place: path of the file, dotted module name, or name in the library.
        name: attribute of the file or module; None if the user named none.
        args: literal positional arguments of the call that the user wrote.
        kwargs: literal keyword arguments of that call.
        is_call: whether the user wrote a call at all.
        settings: values that replace those of a configuration.
    """

    text: str
    kind: Kind
    place: str
    name: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    is_call: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, settings: Mapping[str, Any]) -> Target:
        """The target with other values: of its configuration, or of the arguments of its call.

        Raises:
            GradscopeError: it is a file without the name of a function or class to call.
        """
        if not settings:
            return self
        if self.kind == "hf":
            return replace(self, settings=settings)
        if self.kind in ("file", "module") and self.name is None:
            raise GradscopeError(f"--set must know what takes the values; write for example {self.text}:make_model.")
        return replace(self, kwargs={**self.kwargs, **settings}, is_call=True)


def setting(text: str) -> tuple[str, Any]:
    """Read `num_hidden_layers=126`: a name and a literal; what is no literal is text.

    Raises:
        GradscopeError: it has no name or no value.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise GradscopeError(f"--set {text!r} is not understood; write for example num_hidden_layers=126.")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (SyntaxError, ValueError):
        return name.strip(), value.strip()


def parse(text: str) -> Target:
    """Read a target such as `model.py:Net(depth=30)`.

    Raises:
        GradscopeError: it has none of the known forms, or arguments that are not literals.
    """
    head, colon, rest = text.partition(":")
    if colon and head in _ZOOS:
        if not rest:
            raise GradscopeError(f"{text!r} names no model; write for example {head}:{_EXAMPLE[head]}.")
        if head == "hf" and (rest.endswith(".json") or os.path.isdir(rest)):
            return Target(text, "hf", rest)
        name, args, kwargs, is_call = _call(rest, text)
        return Target(text, _ZOOS[head], name, None, args, kwargs, is_call)
    kind: Kind = "file" if head.endswith(".py") or os.path.exists(head) else "module"
    if not colon or not rest:
        if kind == "module":
            raise GradscopeError(_nowhere(text))
        return Target(text, kind, _file(head))
    name, args, kwargs, is_call = _call(rest, text)
    return Target(text, kind, _file(head) if kind == "file" else head, name, args, kwargs, is_call)


_EXAMPLE = {"hf": "gpt2", "timm": "resnet18", "torchvision": "resnet18"}


def _file(path: str) -> str:
    if os.path.isdir(path):
        raise GradscopeError(f"{path} is a folder; name the Python file in it that defines the model.")
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _INSTEAD and os.path.exists(path):
        raise GradscopeError(f"{path} is no Python file: {_INSTEAD[suffix].format(path)}.")
    if not os.path.exists(path):
        raise GradscopeError(f"{path}: no such file; targets look like {FORMS}.")
    return path


def _nowhere(text: str) -> str:
    suffix = os.path.splitext(text)[1].lower()
    if suffix in _INSTEAD:
        return f"{text}: no such file; and {_INSTEAD[suffix].format(text)}."
    return f"{text!r} is neither a file nor a name in one; targets look like {FORMS}."


def _call(expression: str, text: str) -> tuple[str, tuple[Any, ...], dict[str, Any], bool]:
    """`Name(1, depth=2)` -> ("Name", (1,), {"depth": 2}, True); `Name` -> ("Name", (), {}, False)."""
    head, parenthesis, _ = expression.partition("(")
    try:
        # The name itself may hold characters that Python names do not: "resnet50.a1_in1k", "bert-base".
        call = ast.parse(f"_{parenthesis}{expression[len(head) + 1 :]}" if parenthesis else "_()", mode="eval").body
        assert isinstance(call, ast.Call)
        args = tuple(ast.literal_eval(a) for a in call.args)
        kwargs = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
    except (SyntaxError, ValueError, AssertionError):
        raise GradscopeError(
            f"{text!r}: arguments must be literals, as in Name(depth=30, widths=[64, 64]); "
            "for anything else write a make_model() in the file."
        ) from None
    if len(kwargs) != len(call.keywords) or not head.strip():
        raise GradscopeError(f"{text!r} is not understood; targets look like {FORMS}.")
    return head.strip(), args, kwargs, bool(parenthesis)
