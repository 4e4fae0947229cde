"""Records how every parameter and buffer is initialized while a model is built on the meta device.

`torch.nn.init` returns early for some functions on meta tensors, before any operator runs; those are recognized by the
one thing they do: reading `Tensor.is_meta` from inside the module `torch.nn.init`.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from gradscope.predict import _distribution as distribution
from gradscope.predict._constants import on_cpu, taken_out, tensors_of
from gradscope.predict._distribution import Distribution

LARGEST_VALUE = 1 << 24  # entries of a constant that is computed for real
_DRAWS = ("randn", "rand", "randn_like", "rand_like", "randperm", "randint", "bernoulli", "bernoulli_", "random_")
_SCALINGS = ("mul_", "div_", "mul", "div", "neg", "neg_")


class Initializations(TorchDispatchMode):
    """What is known of every storage, by the operators that wrote it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled in here; to exempt this mode from compilation, torch would import its compiler."""
        return False

    def __init__(self) -> None:
        super().__init__()
        self.unknown: set[str] = set()
        self._known: dict[int, Distribution] = {}
        self._alive: list[Tensor] = []  # a storage's address is its key only while it lives
        self._functions = _EarlyReturns(self)

    def __enter__(self) -> Initializations:
        self._functions.__enter__()
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._functions.__exit__(*exception)

    def find(self, tensor: Tensor) -> Distribution | None:
        """How the storage behind `tensor` was drawn; None if nothing ever wrote it."""
        return self._known.get(_key(tensor))

    def value(self, tensor: Tensor) -> Tensor | None:
        """The tensor itself, where it was computed from constants."""
        if tensor.device.type != "meta":
            return tensor
        value = getattr(tensor, "_known", None)
        if value is not None:
            return value
        known = self.find(tensor)
        if known is None:
            return None
        if known.value is None and known.family == "constant" and tensor.numel() <= LARGEST_VALUE:
            return torch.full(tensor.shape, known.mean, dtype=tensor.dtype)
        return known.value if known.value is not None and known.value.shape == tensor.shape else None

    def put(self, tensor: Tensor, drawn: Distribution) -> None:
        """Record that `tensor` was just overwritten; a view changes its share of the storage."""
        if hasattr(tensor, "_known"):
            del tensor._known  # pyright: ignore[reportAttributeAccessIssue]
        entries = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
        old = self._known.get(_key(tensor))
        if tensor.numel() < entries and old is not None:
            drawn = distribution.mixed(old, drawn, tensor.numel() / entries)
        self._known[_key(tensor)] = drawn
        self._alive.append(tensor)

    def put_value(self, tensor: Tensor, value: Tensor) -> None:
        """Record a tensor that is known entry by entry."""
        tensor._known = value  # type: ignore[attr-defined]
        whole = value if value._base is None else value._base
        self._known[_key(tensor)] = distribution.of_value(whole)
        self._alive.append(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        number = taken_out(func, args, kwargs, self.value)
        if number is not None:
            return number
        output = func(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        written = output if isinstance(output, Tensor) else None
        if written is not None and written.device.type == "meta":
            with _disable_current_modes():
                self._write(name, func, args, kwargs, written)
        return output

    def _write(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        inputs = tensors_of((args, kwargs))
        known = [self.find(t) for t in inputs]
        if drawn := _drawn(name, args, kwargs):
            self.put(output, drawn)
        elif name.startswith(("empty", "new_empty")):
            return
        elif inputs and _key(output) == _key(inputs[0]) and not func._schema.is_mutable:  # a view
            if getattr(inputs[0], "_known", None) is not None:
                output._known = on_cpu(func, args, kwargs, self.value)  # type: ignore[attr-defined]
        elif name == "copy_":
            source = self.find(args[1]) if args[1].device.type == "meta" else distribution.of_value(args[1])
            if source is not None:
                self.put(output, Distribution(source.family, source.quantiles, source.value, is_copied=True))
        elif name in ("zeros", "ones", "zeros_like", "ones_like", "full") and output.numel() > LARGEST_VALUE:
            self.put(output, distribution.constant({"z": 0.0, "o": 1.0}[name[0]] if name != "full" else args[1]))
        elif name not in _DRAWS and output.numel() <= LARGEST_VALUE and self._has_values(inputs):
            self.put_value(output, on_cpu(func, args, kwargs, self.value))
        elif all(d is not None for d in known) and known and _is_pointwise(func):
            self._map(name, func, args, kwargs, output)
        elif name not in ("detach", "alias"):
            self.unknown.add(name)

    def _map(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        inputs = [d for t in tensors_of(args) if (d := self.find(t)) is not None]

        def run(*quantiles: Tensor) -> Tensor:
            left = iter(quantiles)
            return func(*(next(left) if isinstance(a, Tensor) else a for a in args), **kwargs)

        self.put(output, distribution.mapped(run, inputs, is_scaling=name in _SCALINGS and len(inputs) == 1))

    def _has_values(self, inputs: list[Tensor]) -> bool:
        return all(t.device.type != "meta" or self.value(t) is not None for t in inputs)


class _EarlyReturns(TorchFunctionMode):
    """Sees the initializers that return before any operator runs, and tensors made from Python numbers."""

    def __init__(self, recorder: Initializations) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and output.device.type == "meta":
            with _disable_current_modes(), torch._C.DisableTorchFunction():
                self.recorder.put_value(output, torch.as_tensor(args[0], dtype=output.dtype, device="cpu"))
        elif getattr(func, "__name__", "") == "__get__" and func == Tensor.is_meta.__get__:  # type: ignore[attr-defined]
            frame = sys._getframe(1)
            if frame.f_globals.get("__name__") == "torch.nn.init":
                with _disable_current_modes(), torch._C.DisableTorchFunction():
                    drawn = _initializer(frame.f_code.co_name, frame.f_locals, args[0])
                    if drawn is not None:
                        self.recorder.put(args[0], drawn)
        return output


def _initializer(name: str, given: dict[str, Any], tensor: Tensor) -> Distribution | None:
    """What a function of torch.nn.init would draw."""
    if name == "_no_grad_trunc_normal_":
        return distribution.truncated_normal(given["mean"], given["std"], given["a"], given["b"])
    if name == "orthogonal_":
        rows = tensor.shape[0]
        longest = max(rows, tensor.numel() // rows)
        return distribution.normal(0.0, given["gain"] / math.sqrt(longest), family="orthogonal")
    if name == "sparse_":
        return distribution.thinned(distribution.normal(0.0, given["std"]), given["sparsity"])
    if name == "dirac_":
        ones = min(tensor.shape[0], tensor.shape[1] * given["groups"])
        return distribution.share_of_ones(ones / tensor.numel(), family="dirac")
    return None


def _drawn(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Distribution | None:
    """The distribution that a drawing operator writes."""

    def option(position: int, key: str, default: float) -> float:
        return float(args[position]) if len(args) > position else float(kwargs.get(key, default))

    if name == "normal_":
        return distribution.normal(option(1, "mean", 0.0), option(2, "std", 1.0))
    if name == "uniform_":
        return distribution.uniform(option(1, "from", 0.0), option(2, "to", 1.0))
    if name in ("randn", "randn_like"):
        return distribution.normal()
    if name in ("rand", "rand_like"):
        return distribution.uniform()
    if name == "zero_":
        return distribution.constant(0.0)
    if name == "fill_" and not isinstance(args[1], Tensor):
        return distribution.constant(args[1])
    if name in ("bernoulli_", "bernoulli") and isinstance(args[-1], float):
        return distribution.share_of_ones(args[-1], family="derived")
    if name == "exponential_":
        return Distribution("derived", -torch.log1p(-distribution.probabilities()) / option(1, "lambd", 1.0))
    if name == "eye":
        rows, columns = args[0], args[1] if len(args) > 1 else args[0]  # pyright: ignore[reportGeneralTypeIssues]
        return distribution.share_of_ones(min(rows, columns) / (rows * columns), family="identity")
    return None


def _is_pointwise(func: Any) -> bool:
    return torch.Tag.pointwise in func.tags or func._schema.name.rstrip("_") in ("aten::erfinv", "aten::clamp")


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
