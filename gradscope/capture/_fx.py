"""The tape as an `fx.Graph`: one node a torch call, ready for `fx.Interpreter`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch

from gradscope.capture._tape import Op, Reference


def fx_graph(ops: Sequence[Op], outputs: Sequence[int]) -> tuple[torch.fx.Graph, dict[str, Any]]:
    """The recorded run as data flow between torch calls.

    Tensors are followed by object: an in-place call is a node, and later uses of the tensor refer to the node
    that made the object, as they do in the recorded program.

    Args:
        ops: the tape.
        outputs: slots of the model's output tensors.

    Returns:
        The graph, and the tensors behind its `get_attr` nodes that are no parameters or buffers.
    """
    graph = torch.fx.Graph()
    made: dict[int, torch.fx.Node] = {}
    constants: dict[str, Any] = {}
    for op in ops:
        if op.kind == "call":
            _call(graph, op, made)
        elif op.kind == "input":
            made[op.outputs[0]] = graph.placeholder(str(op.target))
        elif op.kind in ("parameter", "buffer"):
            made[op.outputs[0]] = graph.create_node("get_attr", str(op.target))
        elif op.outputs:
            name = f"_{op.kind}_{op.index}"
            constants[name] = op.target
            made[op.outputs[0]] = graph.create_node("get_attr", name)
    graph.output(tuple(made[slot] for slot in outputs if slot in made))
    return graph, constants


def _call(graph: torch.fx.Graph, op: Op, made: dict[int, torch.fx.Node]) -> None:
    node = graph.call_function(op.target, _resolve(op.args, made), _resolve(dict(op.kwargs), made))
    node.meta["module_path"] = op.path
    new = [slot for slot in op.outputs if slot not in made] if op.is_returned else []
    if len(op.outputs) == 1 and new:
        made[new[0]] = node
    else:
        for position, slot in enumerate(op.outputs if op.is_returned else ()):
            if slot in new:
                made[slot] = graph.call_function(operator.getitem, (node, position))


def _resolve(value: Any, made: dict[int, torch.fx.Node]) -> Any:
    if isinstance(value, Reference):
        return made[value.slot]
    if isinstance(value, tuple) and not isinstance(value, torch.Size):
        items = [_resolve(item, made) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [_resolve(item, made) for item in value]
    if isinstance(value, dict):
        return {key: _resolve(item, made) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(_resolve(item, made) for item in (value.start, value.stop, value.step)))
    return value
