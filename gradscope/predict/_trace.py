"""Runs the model's own forward on meta tensors and carries a moment table beside every tensor."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from gradscope.predict._constants import on_cpu, taken_out, tensors_of
from gradscope.predict._fallback import fallback
from gradscope.predict._fixed import table_of_value
from gradscope.predict._initial import LARGEST_VALUE, Initializations
from gradscope.predict._rules import RULES, Call, NoRule, Rule
from gradscope.predict._table import Table, constant, independent

_RANDOM = {"randn", "rand", "randint", "randperm", "normal_", "uniform_", "bernoulli_", "bernoulli", "exponential_",
           "native_dropout", "rand_like", "randn_like", "random_", "multinomial", "normal"}  # fmt: skip
_OVERWRITES = {"normal_", "uniform_", "bernoulli_", "exponential_", "fill_", "zero_", "copy_"}


_BY_SHAPE = {"new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like"}
LARGEST_CACHED = 1 << 20  # entries of a constant whose table is kept


@dataclass
class Fallbacks:
    """Operators without a rule: why, how often, and of how many calls that needed one."""

    reasons: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    @property
    def share(self) -> float:
        return sum(self.reasons.values()) / max(1, self.calls)


class TooSlow(Exception):  # noqa: N818 - an outcome, not an error
    """The prediction would take longer than it may."""


class Trace(TorchDispatchMode):
    """The dispatch mode; tables hang on the tensors themselves, or on parameters by their storage.

    Args:
        initial: how the parameters and buffers were drawn.
        deadline: CPU time of this thread at which to give up.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled in here; to exempt this mode from compilation, torch would import its compiler."""
        return False

    def __init__(self, initial: Initializations, deadline: float | None = None) -> None:
        super().__init__()
        self.initial = initial
        self.deadline = deadline
        self.fallbacks = Fallbacks()
        self.parameters: dict[int, Table] = {}
        self._masks: list[Tensor] = []
        self._constants: dict[tuple[Any, ...], Table] = {}
        self._rules = RULES.load()

    # --- what is known of a tensor ------------------------------------------------------------------

    def table(self, tensor: Tensor) -> Table:
        """The moment table of a tensor."""
        table = getattr(tensor, "_moments", None)
        if table is not None:
            return table
        with _disable_current_modes():
            table = self._first_table(tensor)
        tensor._moments = table  # type: ignore[attr-defined]
        return table

    def find_table(self, tensor: Tensor) -> Table | None:
        """The moment table of a floating-point tensor; None where it has none."""
        if tensor.device.type != "meta" or not tensor.is_floating_point():
            return None
        with _disable_current_modes():
            return self.table(tensor)

    def know(self, tensor: Tensor, value: Tensor) -> None:
        """Attach the numbers of a constant to its meta twin."""
        if hasattr(tensor, "_moments"):
            del tensor._moments  # pyright: ignore[reportAttributeAccessIssue]
        tensor._known = value  # type: ignore[attr-defined]

    def know_numbers(self, tensor: Tensor, numbers: Any) -> None:
        """Attach Python numbers to the tensor that was made from them."""
        with _disable_current_modes(), torch._C.DisableTorchFunction():
            self.know(tensor, torch.as_tensor(numbers, dtype=tensor.dtype, device="cpu"))

    def set_table(self, tensor: Tensor, table: Table) -> None:
        """Attach a table to a tensor."""
        tensor._moments = table  # type: ignore[attr-defined]
        if table.value is not None:
            tensor._known = table.value  # type: ignore[attr-defined]
        elif hasattr(tensor, "_known"):
            del tensor._known  # pyright: ignore[reportAttributeAccessIssue]

    def value(self, tensor: Tensor) -> Tensor | None:
        """The tensor itself, where it is a constant."""
        if tensor.device.type != "meta":
            return tensor
        known = getattr(tensor, "_known", None)
        if known is not None:
            return known
        if getattr(tensor, "_moments", None) is not None:
            return None
        if isinstance(tensor, torch.nn.Parameter):
            return None
        return self.initial.value(tensor)

    def _first_table(self, tensor: Tensor) -> Table:
        value = self.value(tensor)
        if value is not None:
            return self._constant_table(value)
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return constant(tensor.shape, 0.0)  # it depends on data; the rule that looks at it says so
        drawn = self.initial.find(tensor)
        if drawn is None:
            self.fallbacks.reasons["a tensor that nothing initialized"] += 1
            return constant(tensor.shape, 0.0)
        if isinstance(tensor, torch.nn.Parameter):
            table = independent(tensor.shape, drawn.mean, drawn.second_moment)
            table.notes["is_parameter"] = True
            return self.parameters.setdefault(id(tensor), table)
        return independent(tensor.shape, drawn.mean, drawn.second_moment)

    def _constant_table(self, value: Tensor) -> Table:
        """Views of one constant share their table; equal masks share their memory."""
        key = (value.data_ptr(), tuple(value.shape), value.stride(), value.dtype)
        table = self._constants.get(key)
        if table is None:
            table = table_of_value(value)
            if (mask := table.notes.get("mask")) is not None:
                table.value = None
                same = next((m for m in self._masks if m.shape == mask.shape and torch.equal(m, mask)), None)
                if same is None:
                    self._masks.append(mask)
                else:
                    table.notes["mask"] = same
            elif value.numel() <= LARGEST_CACHED:
                self._constants[key] = table  # it keeps the value, and so its address, alive
        return table

    # --- operators ----------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if self.deadline is not None and time.thread_time() > self.deadline:
            raise TooSlow
        kwargs = kwargs or {}
        name = func._schema.name.split("::")[1]
        inputs = tensors_of((args, kwargs))
        number = taken_out(func, args, kwargs, self.value)
        if number is not None:
            return number
        if name == "_local_scalar_dense":
            return self._undecided(inputs[0])
        output = _on_meta(name, func, args, kwargs)
        with _disable_current_modes():
            outputs = [t for t in tree_leaves(output) if isinstance(t, Tensor)]
            if not outputs or all(t.device.type != "meta" for t in outputs):
                return output
            if self._is_constant(name, inputs, outputs):
                self._compute(func, args, kwargs, outputs)
            elif not name.startswith("empty") and name != "new_empty":
                self._apply(name, func, args, kwargs, outputs)
        return output

    def _undecided(self, tensor: Tensor) -> Any:
        """A number that depends on data; zero stands for it."""
        self.fallbacks.reasons["a decision that depends on data"] += 1
        return False if tensor.dtype == torch.bool else 0.0 if tensor.dtype.is_floating_point else 0

    def _is_constant(self, name: str, inputs: list[Tensor], outputs: list[Tensor]) -> bool:
        if name in _RANDOM or name.startswith(("empty", "new_empty")) or name == "embedding":
            return False
        if sum(t.numel() for t in outputs) > LARGEST_VALUE:
            return False
        return name in _BY_SHAPE or all(self.value(t) is not None for t in inputs)

    def _compute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: list[Tensor]) -> None:
        by_shape = func._schema.name.split("::")[1] in _BY_SHAPE
        value_of = (lambda t: torch.empty(t.shape, dtype=t.dtype)) if by_shape else self.value
        values = tensors_of(on_cpu(func, args, kwargs, value_of))
        for tensor, value in zip(outputs, values, strict=True):
            self.know(tensor, value)

    def _apply(self, name: str, func: Any, args: Any, kwargs: Any, outputs: list[Tensor]) -> None:
        """Find the rule and attach what it returns; without one, fall back and say so."""
        self.fallbacks.calls += 1
        inputs = tensors_of((args, kwargs))
        to_table = lambda leaf: self.table(leaf) if isinstance(leaf, Tensor) else leaf  # noqa: E731
        shapes = tuple(tuple(t.shape) for t in outputs)
        plain = _functional(func)
        overwritten = args[:1] if name in _OVERWRITES else ()  # what stood there does not matter
        table_args, table_kwargs = tree_map(to_table, (args[len(overwritten) :], kwargs))
        is_in_place = func._schema.is_mutable and name.endswith("_")
        call = Call(name.rstrip("_") if is_in_place else name, plain, (*overwritten, *table_args), table_kwargs, shapes)
        rule = self._rule(call, func, inputs, outputs)
        has_moments = any(t.is_floating_point() or t.is_complex() for t in outputs)
        if rule is None and not has_moments:
            return  # an index or a condition that depends on data
        try:
            if rule is None:
                raise NoRule("no rule")
            result = rule(call)
        except NoRule as missing:
            if not has_moments:
                return
            self.fallbacks.reasons[f"{call.name}: {missing}"] += 1
            result = [fallback(call, shape) for shape in shapes]
        tables = [result] if isinstance(result, Table) else list(result or [])
        for tensor, table in zip(outputs, tables, strict=False):
            if table is not None:
                if table.shape != tuple(tensor.shape):
                    raise AssertionError(f"{call.name}: table {table.shape} for a tensor {tuple(tensor.shape)}")
                self.set_table(tensor, table)

    def _rule(self, call: Call, func: Any, inputs: list[Tensor], outputs: list[Tensor]) -> Rule | None:
        if rule := self._rules.get(call.name):
            return rule
        is_single = (
            outputs[0].is_floating_point()
            and len(inputs) == 1
            and len(call.shapes) == 1
            and call.shape == tuple(inputs[0].shape)
        )
        return self._rules["pointwise"] if is_single and torch.Tag.pointwise in func.tags else None


def _on_meta(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator on meta tensors; one that only has a bfloat16 kernel runs in bfloat16."""
    if name != "_grouped_mm" or args[0].device.type != "meta":
        return func(*args, **kwargs)
    halves = [a.to(torch.bfloat16) if isinstance(a, Tensor) and a.is_floating_point() else a for a in args]
    return func(*halves, **kwargs).to(args[0].dtype)


def _functional(func: Any) -> Any:
    """The out-of-place variant of an in-place operator, which can be run on a grid with a gradient."""
    name = func._schema.name.split("::")[1]
    if func._schema.is_mutable and name.endswith("_") and not name.endswith("__"):
        packet = getattr(torch.ops.aten, name.rstrip("_"), None)
        if packet is not None and func._overloadname in packet.overloads():
            return getattr(packet, func._overloadname)
    return func
