"""What is known of a run so far: its ops, where every value comes from, and the layers in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from gradscope.borrow import storage_of
from gradscope.capture._layers import UNSEEN, Layer, Layers, computed_unseen
from gradscope.capture._leaf import is_rearranging
from gradscope.capture._ops import Op, OpKind, Reference, located
from gradscope.capture._values import Origin, Value, Values, node_of, version_of
from gradscope.pytree import map_tensors, tensors_in
from gradscope.schema import LayerCall


class Record:
    """The run of `model`, op by op for replay and layer by layer for analysis.

    Attributes:
        ops: every torch call, and where the tensors it used come from.
        layers: the layers.
        leaf: the leaf module that runs now: all that happens belongs to it.
        is_paused: whether what happens now is not to be recorded.
    """

    def __init__(self, model: nn.Module, layers: Layers) -> None:
        self.ops: list[Op] = []
        self.layers = layers
        self.leaf: Layer | None = None
        self.is_paused = False
        self._values = Values()
        self._constants: dict[int, Op] = {}  # by storage
        self._names: dict[int, tuple[Tensor, OpKind, str]] = {}  # holds the tensor, so that its id stays its own
        for name, parameter in model.named_parameters():
            self._names[id(parameter)] = (parameter, "parameter", name)
        for name, buffer in model.named_buffers():
            self._names.setdefault(id(buffer), (buffer, "buffer", name))

    def add_input(self, tensor: Tensor, name: str) -> Layer | None:
        """Declare a tensor that is handed to the model; its layer, if it is new."""
        if self._values.find(tensor) is not None:
            return None
        layer = self.layers.open_input(name)
        op = self._op("input", name)
        self._bind(op, tensor, Origin.at(layer.index))
        self.layers.close(layer, tensor)
        return layer

    def read(self, tensors: Sequence[Tensor]) -> list[Value]:
        """The values of tensors that are about to be used."""
        return [self._read(t) for t in tensors]

    def outputs(self, output: Any) -> list[Value]:
        """The values that the model returned; where no layer made them, returning them is one."""
        values = self.read(tensors_in(output))
        for value, tensor in zip(values, tensors_in(output), strict=True):
            if not value.origin.layers and value.origin.parameters:
                layer = self.layers.open_function("output", [tensor])
                layer.feed(value.origin)
                self.layers.close(layer, tensor)
                value.origin = Origin.at(layer.index)
        return values

    def names_of(self, module: nn.Module) -> set[str]:
        """The parameters of a module, named as the model names them."""
        return {self._names[id(p)][2] for p in module.parameters() if id(p) in self._names}

    def protect(self, written: Sequence[Tensor]) -> None:
        """Keep constants as they are now: a call is about to overwrite these tensors."""
        for tensor in written:
            op = self._constants.pop(storage_of(tensor) or 0, None)
            if op is not None:
                op.target = op.target.detach().clone()

    def show(self, layer: Layer, call: LayerCall) -> None:
        """Let the observer look at a layer that has run."""
        self.is_paused = True
        try:
            self.layers.show(layer, call)
        finally:
            self.is_paused = False

    def add_call(
        self,
        function: Any,
        name: str,
        arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
        read: Mapping[int, Value],
        output: Any,
        changed: list[Tensor],
    ) -> Layer | None:
        """A torch function has run; its layer, if it is one.

        Args:
            function: what ran.
            name: its plain name.
            arguments: positional and keyword arguments.
            read: id of every tensor in them -> its value before the call.
            output: what it returned.
            changed: the tensors in `arguments` that it wrote to.
        """
        op = self._op("call", function)
        op.args, op.kwargs = map_tensors(arguments, lambda t: Reference(read[id(t)].slot))
        outs = list(located(output))
        made = [t for t in ([t for t, _ in outs] or changed) if t.is_floating_point() or t.is_complex()]
        is_new = bool(made) and (id(made[0]) not in read or any(made[0] is t for t in changed))
        origin, layer = self._flow(name, list(read.values()), made[0] if is_new else None)
        for tensor in changed:
            value = self._values.bind(tensor, op.index, origin, slot=read[id(tensor)].slot)
            self._values.mark_mutated(tensor, value)
        op.outputs = tuple((self._slot(t, op, origin), steps) for t, steps in outs)
        if layer is not None:
            self.layers.close(layer, made[0])
        return layer

    def close_leaf(self, layer: Layer, call: Op | None, output: Any, read: list[Value]) -> None:
        """A leaf module has run: see to it that everything it returned flows from it.

        Args:
            layer: the leaf.
            call: its call as one op, if nothing that it did was seen.
            output: what it returned.
            read: the values it was given.
        """
        origin, outs = Origin.at(layer.index), tensors_in(output)
        known = {id(t): self._values.find(t) for t in outs}
        unseen = [t for t in outs if (v := known[id(t)]) is None or v.version != version_of(t)]
        passed = [v for v in known.values() if v is not None and layer.index not in v.origin.layers]
        for value in passed:  # handed in and handed back, as nn.Identity does
            layer.feed(value.origin)
            value.origin = origin
        if unseen:
            layer.feed(Origin.of(read))
            layer.gap = UNSEEN
        if unseen and call is not None:
            call.index = len(self.ops)
            self.ops.append(call)
            call.outputs = tuple((self._slot(t, call, origin), steps) for t, steps in located(output))
        for tensor in unseen:
            if self._values.find(tensor) is None:
                self._constant(tensor, origin)

    def _flow(self, name: str, read: list[Value], made: Tensor | None) -> tuple[Origin, Layer | None]:
        """What the results of a call flow from, and the layer that the call is, if it is one."""
        origin = Origin.of(read)
        if self.leaf is not None:
            self.leaf.feed(origin)
            return Origin.at(self.leaf.index), None
        data = next((v for v in read if v.origin.layers), None)
        if data is None or made is None:
            return origin, None
        if is_rearranging(name, data.reference(), made):
            return data.origin, None
        weights = [v.reference() for v in read if v.origin.parameters and not v.origin.layers]
        layer = self.layers.open_function(name, [w for w in weights if w is not None])
        layer.feed(origin)
        return Origin.at(layer.index), layer

    def _read(self, tensor: Tensor) -> Value:
        value = self._values.find(tensor)
        if value is None:
            return self._declare(tensor)
        if value.version != version_of(tensor):  # written through an alias
            last = self._values.last_mutation(tensor)
            origin = Origin.of((value, last)) if last else value.origin
            return self._values.bind(tensor, last.op if last else value.op, origin, slot=value.slot)
        return value

    def _declare(self, tensor: Tensor) -> Value:
        """A tensor that no recorded call made: a parameter, a buffer, a constant, or the result of unseen work."""
        if id(tensor) not in self._names:
            return self._constant(tensor, Origin() if node_of(tensor) is None else self._stitch(tensor))
        _, kind, name = self._names[id(tensor)]
        op = self._op(kind, name)
        origin = Origin(parameters=frozenset({name})) if kind == "parameter" else Origin()
        return self._bind(op, tensor, origin)

    def _constant(self, tensor: Tensor, origin: Origin) -> Value:
        op = self._op("constant", tensor.detach() if node_of(tensor) is not None else tensor)
        self._constants[storage_of(tensor) or 0] = op
        return self._bind(op, tensor, origin)

    def _bind(self, op: Op, tensor: Tensor, origin: Origin) -> Value:
        value = self._values.bind(tensor, op.index, origin)
        op.outputs = ((value.slot, ()),)
        return value

    def _slot(self, tensor: Tensor, op: Op, origin: Origin) -> int:
        """The slot of a returned tensor: its own if it was handed in, else a new one."""
        known = self._values.find(tensor)
        return known.slot if known is not None else self._values.bind(tensor, op.index, origin).slot

    def _stitch(self, tensor: Tensor) -> Origin:
        """Connect a tensor that was computed out of sight, by its autograd graph."""
        origin = Origin.of(list(self._values.behind(tensor, self._read)))
        layer = self.leaf or self.layers.open_function("opaque")
        layer.feed(origin)
        layer.gap = UNSEEN
        if layer is not self.leaf:
            self.layers.close(layer, tensor)
            self.show(layer, computed_unseen(tensor))
        return Origin.at(layer.index)

    def _op(self, kind: OpKind, target: Any) -> Op:
        op = Op(len(self.ops), kind, target, path=self.layers.path)
        self.ops.append(op)
        return op
