"""The tape as an `fx.Graph`: one node a torch call, ready for `fx.Interpreter`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from gradscope.capture._ops import Op, Reference, Step


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
        if op.kind in ("call", "module"):
            create = graph.call_module if op.kind == "module" else graph.call_function
            node = create(op.target, _resolve(op.args, made), _resolve(dict(op.kwargs), made))
            node.meta["module_path"] = op.path
        elif op.kind == "input":
            node = graph.placeholder(op.target)
        elif op.kind == "constant":
            constants[f"_constant_{op.index}"] = op.target
            node = graph.create_node("get_attr", f"_constant_{op.index}")
        else:
            node = graph.create_node("get_attr", op.target)
        for slot, steps in op.outputs:
            if slot not in made:  # else the op handed back a tensor it was given
                made[slot] = _taken(graph, node, steps)
    graph.output(tuple(made[slot] for slot in outputs))
    return graph, constants


def _taken(graph: torch.fx.Graph, node: torch.fx.Node, steps: Sequence[Step]) -> torch.fx.Node:
    for take, key in steps:
        node = graph.call_function(take, (node, key))
    return node


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
