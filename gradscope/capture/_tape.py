"""The runtime tape: sees every torch call and every module call of one real run, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import maybe_current_level
from torch.overrides import TorchFunctionMode

from gradscope.borrow import Writes, storage_of
from gradscope.capture._fans import fans
from gradscope.capture._layers import Layers
from gradscope.capture._leaf import is_leaf, is_wrapper
from gradscope.capture._modes import InModes, modes
from gradscope.capture._naming import function_name
from gradscope.capture._ops import Op, Reference
from gradscope.capture._record import Record
from gradscope.capture._values import Value, version_of
from gradscope.pytree import main_tensor, map_tensors, tensors_in
from gradscope.schema import LayerCall

_ANSWERS = frozenset((int, float, bool, complex, str, torch.Size, torch.dtype, torch.device, torch.layout))
_SET_REQUIRES_GRAD = torch.Tensor.requires_grad.__set__  # pyright: ignore[reportAttributeAccessIssue]
_unseen = torch._C.DisableTorchFunction  # what looks at tensors inside goes through no function mode


@dataclass(slots=True)
class _Leaf:
    """The leaf module that runs now: its tensor arguments and, by id, copies of those it overwrites."""

    arguments: list[Tensor]
    originals: dict[int, Tensor] = field(default_factory=dict)


class Tape(TorchFunctionMode):
    """Records one eager run of `model`."""

    def __init__(self, model: nn.Module, layers: Layers) -> None:
        super().__init__()
        self.record = Record(model, layers)
        self._layers = layers
        self._leaf: _Leaf | None = None
        self._is_at_root = True
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._names: dict[Any, str] = {}  # function -> its plain name
        self._writes = Writes()
        self._queries: set[Any] = set()  # functions that answer with a number, a shape, ...: nothing to record
        self._modes = {is_writing: modes(is_writing=is_writing) for is_writing in (False, True)}

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Declare a tensor that is handed to the model."""
        with _unseen():
            layer = self.record.add_input(tensor, name)
        if layer is not None:
            self.record.show(layer, LayerCall("input", None, lambda: tensor, (), {}, tensor))

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if self.record.is_paused or func in self._queries or maybe_current_level() is not None:
            return func(*args, **(kwargs or {}))
        return self.call_function(func, args, kwargs or {})

    def call_function(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run one torch function, or one autograd.Function, and record what it read, made and changed."""
        if function == _SET_REQUIRES_GRAD and args[0].requires_grad == args[1]:
            return None  # it may be set on leaves only, and inputs that a gradient flows back to are none
        written = self._writes(function, args, kwargs)
        with _unseen():
            ins = tensors_in((args, kwargs))
            versions = [version_of(t) for t in ins]
            values = self.record.read(ins)
            read, fixed = {id(t): v for t, v in zip(ins, values, strict=True)}, _constant(ins, values)
        before = self._originals(args, tensors_in(written)) if written else args
        self.record.is_paused = True
        try:
            output = function(*args, **kwargs)
        finally:
            self.record.is_paused = False
        if type(output) in _ANSWERS:
            self._queries.add(function)
            return output
        with _unseen():
            outs = tensors_in(output)
            changed = [t for t, v in zip(ins, versions, strict=True) if version_of(t) != v]
            if not outs and not changed:
                return output
            name = self._name(function)
            function = self._in_modes(function, is_writing=bool(written))
            layer = self.record.add_call(function, name, (args, kwargs), read, output, changed)
        if layer is not None:
            shown = tensors_in((before, kwargs))  # in the order of `ins`, with copies of what was overwritten
            constants = tuple(t for t, is_constant in zip(shown, fixed, strict=True) if is_constant)
            result = output if outs else changed[0]
            self.record.show(layer, LayerCall(name, None, function, before, kwargs, result, constants))
        return output

    def call_module(
        self, run: Callable[..., Any], module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Run a module and record it: as one layer if it is a leaf, else as the scope of what it runs."""
        if self._leaf is not None:
            return run(module, *args, **kwargs)
        path = self._paths.get(id(module), type(module).__name__)
        is_root, self._is_at_root = self._is_at_root, self._is_at_root and is_wrapper(module)
        if is_leaf(module, args, is_root=is_root):
            return self._call_leaf(run, module, path, args, kwargs)
        with self._layers.scope(path):
            return run(module, *args, **kwargs)

    def _call_leaf(
        self, run: Callable[..., Any], module: nn.Module, path: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        record = self.record
        with _unseen():
            ins = tensors_in((args, kwargs))
            read = record.read(ins)
            fixed = _constant(ins, read)
            slots = {id(t): Reference(v.slot) for t, v in zip(ins, read, strict=True)}
        layer, start = self._layers.open_module(module, path), len(record.ops)
        record.leaf, self._leaf = layer, _Leaf(ins)
        try:
            output = run(module, *args, **kwargs)
            originals = self._leaf.originals
        finally:
            record.leaf = self._leaf = None
        with _unseen():
            layer.op = getattr(module, "original_name", type(module).__name__)  # a lazy module has changed its class
            layer.fans = fans(module.parameters(), module)
            layer.parameters |= record.names_of(module)
            whole = None
            if len(record.ops) == start:
                whole = Op(start, "module", path, *map_tensors((args, kwargs), lambda t: slots[id(t)]))
            record.close_leaf(layer, whole, output, read)
            self._layers.close(layer, main_tensor(output))
            args, kwargs = map_tensors((args, kwargs), lambda t: originals.get(id(t), t))
            constants = tuple(originals.get(id(t), t) for t, is_fixed in zip(ins, fixed, strict=True) if is_fixed)
            function = self._in_modes(module, is_writing=False)
        self.record.show(layer, LayerCall(layer.op, module, function, args, kwargs, output, constants))
        return output

    def _originals(self, args: tuple[Any, ...], written: list[Tensor]) -> tuple[Any, ...]:
        """The arguments of a call that is about to overwrite some, as the observer must see them later."""
        self.record.protect(written)
        if self._layers.observer is None:
            return args
        storages = {storage_of(t) for t in written}
        if self._leaf is None:
            return map_tensors(args, lambda t: _copy(t) if storage_of(t) in storages else t)
        for tensor in self._leaf.arguments:
            if storage_of(tensor) in storages and id(tensor) not in self._leaf.originals:
                self._leaf.originals[id(tensor)] = _copy(tensor)
        return args

    def _in_modes(self, function: Callable[..., Any], *, is_writing: bool) -> Callable[..., Any]:
        now = modes(is_writing=is_writing)
        return function if now == self._modes[is_writing] else InModes(function, now)

    def _name(self, function: Any) -> str:
        if function not in self._names:
            self._names[function] = function_name(function)
        return self._names[function]


def _constant(tensors: Sequence[Tensor], values: Sequence[Value]) -> list[bool]:
    """Which of the tensors a call is given carry no signal.

    That is what flows from no input of the model; and where gradients flow through the call, what they do not flow
    through: the copy that was detached, the zeros in the input's shape.
    """
    signals = [bool(v.origin.layers) for v in values]
    if any(is_signal and t.requires_grad for is_signal, t in zip(signals, tensors, strict=True)):
        return [not (is_signal and t.requires_grad) for is_signal, t in zip(signals, tensors, strict=True)]
    return [not is_signal for is_signal in signals]


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()
