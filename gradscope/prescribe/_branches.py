"""Residual branches: the side of each add that computes, and the weight that it ends with."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
from torch import nn

from gradscope.schema import Block, LayerGraph


@dataclass(frozen=True, slots=True)
class Branch:
    """The computing side of a residual block.

    Attributes:
        block: name of the block, that is of its add.
        last: path of the module whose weight scales everything the branch adds.
    """

    block: str
    last: str


def branches(graph: LayerGraph, model: nn.Module) -> tuple[Branch, ...]:
    """Every residual branch that ends in a module with a weight of its own."""
    found = []
    for block in graph.blocks:
        if block.kind == "residual":
            last = _last_weight(graph, block)
            weight = getattr(model.get_submodule(last), "weight", None) if last is not None else None
            if last is not None and isinstance(weight, nn.Parameter):
                found.append(Branch(block.name, last))
    return tuple(found)


def _last_weight(graph: LayerGraph, block: Block) -> str | None:
    """The module nearest to the add, on the side with more weights; None where both sides have as many."""
    inside = graph.digraph.subgraph(block.nodes)
    sides = []
    for end in graph.digraph.predecessors(block.exit):
        nodes = sorted({end, *nx.ancestors(inside, end)}) if end in inside else []
        sides.append([graph.nodes[i] for i in nodes if graph.nodes[i].kind == "module" and graph.nodes[i].parameters])
    sides.sort(key=len)
    if len(sides) < 2 or len(sides[-1]) == len(sides[-2]):
        return None
    return sides[-1][-1].path
