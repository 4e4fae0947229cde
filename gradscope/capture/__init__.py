"""One real run of a model -> its graph of layers."""

from __future__ import annotations

import networkx as nx
from torch import Tensor

from gradscope.capture._blocks import blocks_of, innermost
from gradscope.capture._fx import fx_graph
from gradscope.capture._gradients import Observer
from gradscope.capture._layers import Layer, Layers
from gradscope.capture._patches import recording
from gradscope.capture._tape import Tape
from gradscope.pytree import map_tensors, tensors_in
from gradscope.schema import Block, Gap, LayerGraph, LayerNode, Run, Subject

__all__ = ["Observer", "graph"]


def graph(subject: Subject, observer: Observer | None = None, *, keep_edges: bool = False) -> tuple[LayerGraph, Run]:
    """Run the subject once, forward, and record it.

    Call it inside `borrow.borrowed`. The returned `Run` holds the live autograd graph: going backward from
    its output hands every layer's gradient to `observer`.

    Args:
        subject: what to run.
        observer: is shown every layer the moment it has run.
        keep_edges: keep the autograd edge of every layer's output in `Run.edges`.

    Raises:
        whatever the model raises.
    """
    layers = Layers(observer, keep_edges=keep_edges, source=subject.info.source)
    tape = Tape(subject.model, layers)
    leaves: list[Tensor] = []
    args, kwargs = map_tensors((subject.args, dict(subject.kwargs)), lambda t: _differentiable(t, leaves))
    with recording(tape, layers):
        for i, tensor in enumerate(tensors_in(args)):
            tape.add_input(tensor, f"input_{i}" if i else "input")
        for name, value in kwargs.items():
            for i, tensor in enumerate(tensors_in(value)):
                tape.add_input(tensor, f"{name}_{i}" if i else name)
        output = subject.model(*args, **kwargs)
    values = tape.record.outputs(output)
    if layers.gradients is not None:
        layers.gradients.is_open = True
    operations, constants = fx_graph(tape.record.ops, [v.slot for v in values])
    digraph = _digraph(layers.recorded)
    blocks = blocks_of(digraph, [layer.name for layer in layers.recorded], [layer.op for layer in layers.recorded])
    captured = LayerGraph(
        nodes=_nodes(layers.recorded, blocks),
        digraph=digraph,
        blocks=blocks,
        outputs=tuple(dict.fromkeys(i for v in values for i in sorted(v.origin.layers))),
        fx=operations,
        constants=constants,
        gaps=tuple(Gap(layer.name, layer.gap) for layer in layers.recorded if layer.gap),
    )
    return captured, Run(output, tuple(leaves), layers.edges)


def _differentiable(tensor: Tensor, leaves: list[Tensor]) -> Tensor:
    """A copy of an input that may be changed in place and that gradients flow back to."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor.clone()
    leaves.append(tensor.detach().clone().requires_grad_())
    return leaves[-1].clone()


def _digraph(layers: list[Layer]) -> nx.DiGraph:
    digraph = nx.DiGraph()
    digraph.add_nodes_from(layer.index for layer in layers)
    digraph.add_edges_from((i, layer.index) for layer in layers for i in sorted(layer.inputs))
    return digraph


def _nodes(layers: list[Layer], blocks: tuple[Block, ...]) -> tuple[LayerNode, ...]:
    block_of = innermost(blocks)
    return tuple(
        LayerNode(
            index=layer.index,
            name=layer.name,
            kind=layer.kind,
            op=layer.op,
            path=layer.path,
            call=layer.call,
            inputs=tuple(sorted(layer.inputs)),
            shape=layer.shape,
            dtype=layer.dtype,
            parameters=tuple(sorted(layer.parameters)),
            fan_in=layer.fans[0],
            fan_out=layer.fans[1],
            source=layer.source,
            block=block_of.get(layer.index),
        )
        for layer in layers
    )
