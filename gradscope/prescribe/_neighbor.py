"""What stands before and behind a layer in the graph: through dropout, pooling and adds, to what shapes its signal."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gradscope.prescribe._gain import Scaling, is_affine, is_elementwise, scaling
from gradscope.schema import LayerGraph, LayerNode

Kind = Literal["activation", "norm", "attention", "product", "weight", "end", "unknown"]

_PASSING = ("dropout", "droppath", "pool", "pad", "flatten", "identity", "upsample", "interpolate", "shuffle")
_PASSING_OPS = {"add", "sub", "cat", "concat", "stack", "mean", "sum", "index_select", "gather", "repeat", "expand"}
_ATTENTION = ("softmax", "softmin", "attention")
_PRODUCTS = {"mul", "div", "matmul", "bmm", "mm", "einsum", "baddbmm", "addcmul"}


@dataclass(frozen=True, slots=True)
class Neighbor:
    """The nearest operation that is more than a rearrangement, an average or an add.

    Attributes:
        kind: what sort of operation it is; "weight" is a layer with a weight, "end" the model's input or output.
        op: its class or function name; "" at the end.
        scaling: of an activation.
        module: its path, of an activation that is a module.
    """

    kind: Kind
    op: str = ""
    scaling: Scaling | None = None
    module: str | None = None


END = Neighbor("end")


def behind(graph: LayerGraph, model: nn.Module, index: int) -> Neighbor:
    """What the layer's output meets first; where paths part, the operation that runs first decides."""
    return _nearest(graph, model, graph.digraph.successors, index, order=1)


def before(graph: LayerGraph, model: nn.Module, index: int) -> Neighbor:
    """What the layer's input last went through; where paths join, the operation that ran last decides."""
    return _nearest(graph, model, graph.digraph.predecessors, index, order=-1)


def _nearest(
    graph: LayerGraph, model: nn.Module, step: Callable[[int], Iterable[int]], index: int, order: int
) -> Neighbor:
    seen, waiting = {index}, set(step(index))
    while waiting:
        nearest = min(waiting, key=lambda i: order * i)
        seen.add(nearest)
        found = _meets(graph, model, graph.nodes[nearest])
        if found is not None:
            return found
        waiting = (waiting | set(step(nearest))) - seen
    return END


def _meets(graph: LayerGraph, model: nn.Module, node: LayerNode) -> Neighbor | None:
    """What the node is, or None if it lets the signal through."""
    op = node.op.lower()
    if node.kind == "input":
        return END
    if node.fan_in is not None:
        return Neighbor("weight", node.op)
    if "norm" in op:
        return Neighbor("norm", node.op)
    if any(word in op for word in _ATTENTION):
        return Neighbor("attention", node.op)
    if op in _PASSING_OPS or any(word in op for word in _PASSING):
        return None
    if len(node.inputs) > 1:
        return Neighbor("product" if op in _PRODUCTS else "unknown", node.op)
    return _activation(node, _function(graph, model, node))


def _activation(node: LayerNode, function: Callable[[Tensor], Tensor] | None) -> Neighbor | None:
    unknown = Neighbor("unknown", node.op)
    if function is None:
        return unknown
    try:
        if not is_elementwise(function):
            return unknown
        if is_affine(function):
            return None
        path = node.path if node.kind == "module" else None
        return Neighbor("activation", node.op, scaling(function), path)
    except Exception:  # the user's own code, given what it may not have been written for: not understood
        return unknown


def _function(graph: LayerGraph, model: nn.Module, node: LayerNode) -> Callable[[Tensor], Any] | None:
    """The node's own computation as a function of one tensor."""
    if node.kind == "module":
        module = dict(model.named_modules()).get(node.path)
        if module is None:  # it is called, but not a part of the model
            return None
        is_plain = sum(p.numel() for p in module.parameters()) <= 1  # PReLU has one
        return copy.deepcopy(module).double().eval() if is_plain else None
    calls = [
        call
        for call in graph.fx.nodes
        if call.op == "call_function" and call.meta.get("module_path") == node.path and _plain(call.target) == node.op
    ]
    position = int(node.name.rpartition("_")[2]) - 1
    if position >= len(calls):
        return None
    call = calls[position]
    others = (*call.args[1:], *call.kwargs.values())
    if not call.args or any(isinstance(value, torch.fx.Node) for value in others):
        return None
    return partial(_call, call.target, call.args[1:], dict(call.kwargs))


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], z: Tensor) -> Any:
    return function(z, *args, **kwargs)


def _plain(function: Any) -> str:
    return getattr(function, "__name__", "").strip("_")
