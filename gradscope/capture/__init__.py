"""One real run of a model -> its graph of layers."""

from __future__ import annotations

import networkx as nx
import torch
from torch import Tensor

from gradscope.capture._blocks import blocks_of, innermost
from gradscope.capture._fx import fx_graph
from gradscope.capture._patches import recording
from gradscope.pytree import map_tensors, tensors_in
from gradscope.capture._tape import Observer, Tape
from gradscope.schema import Gap, LayerGraph, LayerNode, Run, Subject

__all__ = ["Observer", "graph"]


def graph(subject: Subject, observer: Observer | None = None, *, keep_edges: bool = False) -> tuple[LayerGraph, Run]:
    """Run the subject once, forward, and record it.

    Call it inside `borrow.borrowed`. The returned `Run` holds the live autograd graph: going backward from
    its output hands every layer's gradient to `observer`.

    Args:
        subject: what to run.
        observer: is shown every layer the moment it has run.
        keep_edges: keep the autograd edge of every layer's output in `Run.edges`.
    """
    tape = Tape(subject.model, observer, keep_edges=keep_edges)
    leaves: list[Tensor] = []
    args, kwargs = map_tensors((subject.args, dict(subject.kwargs)), lambda t: _differentiable(t, leaves))
    with recording(tape):
        for i, tensor in enumerate(tensors_in(args)):
            tape.add_input(tensor, f"input_{i}" if i else "input")
        for name, value in kwargs.items():
            for i, tensor in enumerate(tensors_in(value)):
                tape.add_input(tensor, f"{name}_{i}" if i else name)
        output = subject.model(*args, **kwargs)
    values = [tape.values.find(t) for t in tensors_in(output)]
    outputs = {i for value in values if value for i in value.sources}
    slots = [value.slot for value in values if value]
    return _layer_graph(tape, slots, tuple(sorted(outputs))), Run(output, tuple(leaves), tape.edges)


def _differentiable(tensor: Tensor, leaves: list[Tensor]) -> Tensor:
    """A copy of an input that may be changed in place and that gradients flow back to."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor.clone()
    leaves.append(tensor.detach().clone().requires_grad_())
    return leaves[-1].clone()


def _layer_graph(tape: Tape, output_slots: list[int], outputs: tuple[int, ...]) -> LayerGraph:
    digraph = nx.DiGraph()
    digraph.add_nodes_from(layer.index for layer in tape.layers)
    digraph.add_edges_from((i, layer.index) for layer in tape.layers for i in sorted(layer.inputs))
    blocks = blocks_of(digraph, [layer.name for layer in tape.layers], [layer.op for layer in tape.layers])
    block_of = innermost(blocks)
    nodes = tuple(
        LayerNode(
            index=layer.index,
            name=layer.name,
            kind=layer.kind,  # pyright: ignore[reportArgumentType]
            op=layer.op,
            path=layer.path,
            call=layer.call,
            inputs=tuple(sorted(layer.inputs)),
            shape=layer.output[0] if layer.output else (),
            dtype=layer.output[1] if layer.output else "none",
            parameters=layer.parameters,
            fan_in=layer.fan[0],
            fan_out=layer.fan[1],
            source=layer.source,
            block=block_of.get(layer.index),
        )
        for layer in tape.layers
    )
    opaque = tuple(Gap(n.name, "computed where torch calls cannot be seen: a scripted part or a thread") for n in nodes if n.op == "opaque")
    operations, constants = fx_graph(tape.ops, output_slots)
    return LayerGraph(nodes, digraph, blocks, outputs, operations, constants, opaque)
