"""What really follows a layer in the graph: through dropout, pooling and adds, to what shapes its signal."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gradscope.prescribe._gain import Scaling, is_affine, is_elementwise, scaling
from gradscope.schema import LayerGraph, LayerNode

Kind = Literal["activation", "norm", "attention", "product", "weight", "output", "unknown"]

_PASSING = ("dropout", "droppath", "pool", "pad", "flatten", "identity", "upsample", "interpolate", "shuffle")
_PASSING_OPS = {"add", "sub", "cat", "concat", "stack", "mean", "sum", "index_select", "gather", "repeat", "expand"}
_ATTENTION = ("softmax", "softmin", "attention")
_PRODUCTS = {"mul", "div", "matmul", "bmm", "mm", "einsum", "baddbmm", "addcmul"}


@dataclass(frozen=True, slots=True)
class Follower:
    """What a layer's output meets first.

    Attributes:
        kind: what sort of operation it is; "weight" is another layer with a weight.
        op: its class or function name; "" at the model's output.
        scaling: of an activation.
    """

    kind: Kind
    op: str = ""
    scaling: Scaling | None = None


OUTPUT = Follower("output")


def follower(graph: LayerGraph, model: nn.Module, index: int) -> Follower:
    """The first operation downstream of a layer that is more than a rearrangement, an average or an add.

    Where the paths part, the one that runs first decides.
    """
    seen, waiting = {index}, sorted(graph.digraph.successors(index))
    while waiting:
        node = graph.nodes[waiting.pop(0)]
        if node.index in seen:
            continue
        seen.add(node.index)
        found = _meets(graph, model, node)
        if found is not None:
            return found
        waiting = sorted({*waiting, *graph.digraph.successors(node.index)})
    return OUTPUT


def _meets(graph: LayerGraph, model: nn.Module, node: LayerNode) -> Follower | None:
    """What the node is, or None if it lets the signal through."""
    op = node.op.lower()
    if node.fan_in is not None:
        return Follower("weight", node.op)
    if "norm" in op:
        return Follower("norm", node.op)
    if any(word in op for word in _ATTENTION):
        return Follower("attention", node.op)
    if op in _PASSING_OPS or any(word in op for word in _PASSING):
        return None
    if len(node.inputs) > 1:
        return Follower("product" if op in _PRODUCTS else "unknown", node.op)
    return _activation(node.op, _function(graph, model, node))


def _activation(op: str, function: Callable[[Tensor], Tensor] | None) -> Follower | None:
    if function is None:
        return Follower("unknown", op)
    try:
        if not is_elementwise(function):
            return Follower("unknown", op)
        if is_affine(function):
            return None
        return Follower("activation", op, scaling(function))
    except Exception:  # the user's own code, given what it may not have been written for: not understood
        return Follower("unknown", op)


def _function(graph: LayerGraph, model: nn.Module, node: LayerNode) -> Callable[[Tensor], Any] | None:
    """The node's own computation as a function of one tensor."""
    if node.kind == "module":
        module = model.get_submodule(node.path)
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
