"""The runtime tape: every torch call of one real run, in order, with who computed what from what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradscope.capture._leaf import is_leaf, is_rearranging
from gradscope.capture._naming import function_name, is_in_place, user_source
from gradscope.pytree import main_tensor, map_tensors, tensors_in
from gradscope.capture._values import Value, Values, version_of
from gradscope.schema import LayerCall

_NO_SOURCES: frozenset[int] = frozenset()


class Observer(Protocol):
    """Looks at every layer while it runs; it must not modify what it is shown."""

    def forward(self, layer: int, call: LayerCall) -> None:
        """The layer with this index has just computed `call.output`."""
        ...

    def backward(self, layer: int, gradient: Tensor) -> None:
        """The gradient of the loss with respect to the layer's main output."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """Stands for a tensor in recorded arguments: the slot that held it."""

    slot: int


@dataclass(slots=True)
class Op:
    """One torch call: `kind` is "input", "parameter", "buffer", "constant", "call" or "opaque"."""

    index: int
    kind: str
    target: Any  # the function called; the name of an input, parameter or buffer; the tensor of a constant
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()  # slots
    is_returned: bool = True  # False: the op only changed its arguments
    path: str = ""


@dataclass(slots=True)
class Layer:
    """One layer while it is being recorded."""

    index: int
    kind: str
    op: str
    path: str
    name: str
    call: int
    source: str | None
    parameters: tuple[str, ...]
    inputs: set[int] = field(default_factory=set)
    output: tuple[tuple[int, ...], str] | None = None  # shape and dtype
    fan: tuple[int | None, int | None] = (None, None)


class Tape(TorchFunctionMode):
    """Records one eager run of `model`; a layer goes to `observer` the moment it has run."""

    def __init__(self, model: nn.Module, observer: Observer | None = None, *, keep_edges: bool = False) -> None:
        super().__init__()
        self.observer = observer
        self.ops: list[Op] = []
        self.layers: list[Layer] = []
        self.edges: dict[int, Any] = {}  # layer -> autograd edge of its main output
        self.values = Values()
        self.is_keeping_edges = keep_edges
        self._is_paused = False
        self._leaf: Layer | None = None
        self._scopes: list[tuple[str, Counter[str]]] = [("", Counter())]
        self._calls: Counter[str] = Counter()
        self.paths: dict[int, str] = {}
        self._names: dict[int, tuple[str, str]] = {}
        for path, module in model.named_modules():
            self.paths[id(module)] = path
        for name, parameter in model.named_parameters():
            self._names[id(parameter)] = ("parameter", name)
        for name, buffer in model.named_buffers():
            self._names.setdefault(id(buffer), ("buffer", name))

    # --- what the run tells us ----------------------------------------------------------------------

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Declare a tensor that is handed to the model."""
        with self._pause():
            if self.values.find(tensor) is not None:
                return
            layer = self._open("input", "input", "", name, parameters=())
            op = self._op("input", name)
            op.outputs = (self.values.bind(tensor, op.index, frozenset({layer.index})).slot,)
            self._close(layer, tensor, LayerCall("input", None, lambda: tensor, (), {}, tensor))

    def call_module(self, module: nn.Module, run: Callable[[], Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """Run a module and record it: as one layer if it is a leaf, else as a scope of its functional ops."""
        path = self.paths.get(id(module), type(module).__name__)
        if self._leaf is not None:
            return run()
        if len(self._scopes) > 1 or type(module).__module__.startswith("torch.nn"):
            if is_leaf(module):
                return self._call_leaf(module, path, run, args, kwargs)
        self._scopes.append((path, Counter()))
        try:
            return run()
        finally:
            self._scopes.pop()

    def _call_leaf(self, module: nn.Module, path: str, run: Callable[[], Any], args: Any, kwargs: Any) -> Any:
        names = [self._names[id(p)][1] for p in module.parameters() if id(p) in self._names]
        layer = self._open("module", type(module).__name__, path, path, parameters=tuple(names))
        layer.fan = _fans(next((p for p in module.parameters(recurse=False) if p.ndim > 1), None), module)
        seen = self._values_of((args, kwargs))
        before = args
        if self.observer is not None and getattr(module, "inplace", False):
            with self._pause(), torch.no_grad():
                before = map_tensors(args, lambda t: t.detach().clone())
        self._leaf = layer
        try:
            output = run()
        finally:
            self._leaf = None
        with self._pause():
            for tensor in tensors_in(output):
                value = self.values.find(tensor)
                is_current = value is not None and value.version == version_of(tensor)
                if not is_current or (value and layer.index not in value.sources):
                    # Computed where the mode does not look, or handed through: the whole call made it.
                    layer.inputs.update(*(v.sources for v in seen))
                    if not is_current:
                        op = self._op("opaque", type(module).__name__)
                        op.outputs = (self.values.bind(tensor, op.index, frozenset({layer.index})).slot,)
                    elif value is not None:
                        value.sources = frozenset({layer.index})
            call = LayerCall(layer.op, module, module, before, kwargs, output)
            self._close(layer, main_tensor(output), call)
        return output

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._is_paused or torch._C._functorch.maybe_current_level() is not None:
            return func(*args, **kwargs)
        return self.call_function(func, lambda: func(*args, **kwargs), args, kwargs)

    def call_function(self, function: Any, run: Callable[[], Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """Run one torch function, or one autograd.Function, and record what it read, made and changed."""
        ins = tensors_in((args, kwargs))
        versions = [version_of(t) for t in ins]
        name = function_name(function)
        before = args
        if self.observer is not None and self._leaf is None and is_in_place(function, kwargs):
            with self._pause(), torch.no_grad():
                before = map_tensors(args[:1], lambda t: t.detach().clone()) + tuple(args[1:])
        with self._pause():
            read = [self.read(t) for t in ins]
            output = run()
            outs = tensors_in(output)
            changed = [t for t, v in zip(ins, versions, strict=True) if version_of(t) != v]
            if not outs and not changed:
                return output
            self._record(function, name, (args, kwargs), (ins, read), output, changed, before)
        return output

    # --- recording ----------------------------------------------------------------------------------

    def _record(self, function, name, arguments, inputs, output, changed, before) -> None:  # noqa: ANN001
        args, kwargs = arguments
        ins, read = inputs
        outs = tensors_in(output)
        slots = {id(t): v.slot for t, v in zip(ins, read, strict=True)}
        op = self._op("call", function)
        op.args, op.kwargs = map_tensors((args, kwargs), lambda t: Reference(slots[id(t)]))
        flow = frozenset().union(*(v.sources for v in read)) if read else _NO_SOURCES
        made = [t for t in (outs or changed) if t.is_floating_point() or t.is_complex()]
        main = made[0] if made else None
        layer = None
        if self._leaf is not None:
            self._leaf.inputs |= {i for i in flow if i != self._leaf.index}
            sources = frozenset({self._leaf.index})
        elif main is None or not flow or is_rearranging(name, _first_data(ins, read), main):
            sources = flow
        else:
            layer = self._open_function(name, ins)
            layer.inputs |= flow
            sources = frozenset({layer.index})
        for tensor in changed:
            old = self.values.find(tensor)
            value = self.values.bind(tensor, op.index, sources, slot=old.slot if old else None)
            self.values.mark_mutated(tensor, value)
        op.is_returned = bool(outs)
        op.outputs = tuple(self._bind_output(t, op, sources, slots) for t in outs) or tuple(
            value.slot for t in changed if (value := self.values.find(t)) is not None
        )
        if layer is not None:
            self._close(layer, main, LayerCall(layer.op, None, function, before, kwargs, output if outs else main))

    def _bind_output(self, tensor: Tensor, op: Op, sources: frozenset[int], slots: dict[int, int]) -> int:
        known = self.values.find(tensor)
        if known is not None and (known.op == op.index or id(tensor) in slots):
            if known.op != op.index:  # an input handed through unchanged
                known.sources = sources
            return known.slot
        return self.values.bind(tensor, op.index, sources).slot

    def read(self, tensor: Tensor) -> Value:
        """The value of a tensor that is about to be used, declared on the spot if nobody recorded its origin."""
        value = self.values.find(tensor)
        if value is None:
            kind, name = self._names.get(id(tensor), ("constant", None))
            if kind == "constant" and tensor.grad_fn is not None:
                return self._stitch(tensor)
            op = self._op(kind, name if name is not None else tensor)
            value = self.values.bind(tensor, op.index, _NO_SOURCES)
            op.outputs = (value.slot,)
        elif value.version != version_of(tensor):  # written through an alias
            last = self.values.last_mutation(tensor)
            sources = value.sources | (last.sources if last else _NO_SOURCES)
            value = self.values.bind(tensor, last.op if last else value.op, sources, slot=value.slot)
        return value

    def _stitch(self, tensor: Tensor) -> Value:
        """A tensor from where the mode does not see (a thread, a scripted part): connect it by its autograd graph."""
        behind = list(self.values.behind(tensor))
        flow = frozenset().union(*(v.sources for v in behind)) if behind else _NO_SOURCES
        op = self._op("opaque", tensor.grad_fn.name() if tensor.grad_fn else "opaque")
        if self._leaf is not None:
            self._leaf.inputs |= {i for i in flow if i != self._leaf.index}
            value = self.values.bind(tensor, op.index, frozenset({self._leaf.index}))
        else:
            layer = self._open_function("opaque", [])
            layer.inputs |= flow
            value = self.values.bind(tensor, op.index, frozenset({layer.index}))
            self._close(layer, tensor)
        op.outputs = (value.slot,)
        return value

    def _op(self, kind: str, target: Any) -> Op:
        op = Op(len(self.ops), kind, target, path=self._scopes[-1][0])
        self.ops.append(op)
        return op

    def _open_function(self, name: str, ins: list[Tensor]) -> Layer:
        path, counter = self._scopes[-1]
        counter[name] += 1
        weights = [t for t in ins if self._names.get(id(t), ("", ""))[0] == "parameter"]
        full = f"{path}.{name}_{counter[name]}" if path else f"{name}_{counter[name]}"
        layer = self._open("function", name, path, full, tuple(self._names[id(t)][1] for t in weights))
        layer.fan = _fans(next((t for t in weights if t.ndim > 1), None), name)
        return layer

    def _open(self, kind: str, op: str, path: str, name: str, parameters: tuple[str, ...]) -> Layer:
        name = name or op
        source = user_source() if kind != "input" else None
        layer = Layer(len(self.layers), kind, op, path, name, self._calls[name], source, parameters)
        self._calls[name] += 1
        self.layers.append(layer)
        return layer

    def _close(self, layer: Layer, main: Tensor | None, call: LayerCall | None = None) -> None:
        if main is None:
            return
        layer.output = (tuple(main.shape), str(main.dtype).removeprefix("torch."))
        node = main.grad_fn
        if node is not None and main.requires_grad:
            if self.is_keeping_edges:
                self.edges[layer.index] = torch.autograd.graph.get_gradient_edge(main)
            if self.observer is not None:
                node.register_prehook(_GradientHook(self.observer, layer.index, main.output_nr))
        if self.observer is not None and call is not None:
            with torch.no_grad():
                self.observer.forward(layer.index, call)

    def _values_of(self, value: Any) -> list[Value]:
        with self._pause():
            return [self.read(t) for t in tensors_in(value)]

    def _pause(self) -> _Pause:
        return _Pause(self)


class _Pause:
    """Inside, torch calls are not recorded."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __enter__(self) -> None:
        self._before, self._tape._is_paused = self._tape._is_paused, True

    def __exit__(self, *_: object) -> None:
        self._tape._is_paused = self._before


class _GradientHook:
    """Hands the gradient that arrives at one output of an autograd node to the observer."""

    def __init__(self, observer: Observer, layer: int, output: int) -> None:
        self._observer, self._layer, self._output = observer, layer, output

    def __call__(self, gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[self._output]
        if gradient is not None:
            with torch.no_grad():
                self._observer.backward(self._layer, gradient)


def _first_data(ins: list[Tensor], read: list[Value]) -> Tensor | None:
    return next((t for t, v in zip(ins, read, strict=True) if v.sources), None)


def _fans(weight: Tensor | None, user: object) -> tuple[int | None, int | None]:
    """fan_in and fan_out of a weight (Glorot & Bengio 2010): how many terms a sum over it has, each way."""
    if weight is None or isinstance(user, nn.Embedding | nn.EmbeddingBag) or user == "embedding":
        return None, None
    name = user if isinstance(user, str) else type(user).__name__
    window = weight[0, 0].numel() if weight.ndim > 2 else 1
    first, second = weight.shape[0], weight.shape[1]
    if "transpose" in name.lower() or name in ("Conv1D", "matmul", "addmm", "mm"):  # weight is (in, out, ...)
        return first * window, second * window
    groups = getattr(user, "groups", 1)
    return second * window, first * window // groups
