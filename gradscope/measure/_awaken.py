"""Heads that start at exactly zero: no gradient passes them at first, so they are drawn for the measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import networkx as nx
import torch
from torch import nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

from gradscope.measure._use import is_sum
from gradscope.schema import Gap, LayerGraph

_ROOT = -1


def sleeping(graph: LayerGraph, model: nn.Module) -> tuple[str, ...]:
    """The weight matrices that are exactly zero, of layers that every path to the output passes.

    A branch that starts at zero beside an identity is not among them: the signal goes round it. Nor are positions
    and tokens that start at zero: what they are added or joined to passes.
    """
    parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
    rooted = nx.DiGraph(graph.digraph)
    rooted.add_edges_from((_ROOT, node) for node in graph.digraph if graph.digraph.in_degree(node) == 0)
    dominator = nx.immediate_dominators(rooted, _ROOT)
    passed = set()
    for node in graph.ends[:1]:
        while node != _ROOT and node is not None:
            passed.add(node)
            node = dominator.get(node, _ROOT)
    nodes = [graph.nodes[i] for i in sorted(passed)]
    summing = [n for n in nodes if is_sum(n, modules.get(n.path) if n.kind == "module" else None)]
    names = [name for node in summing for name in node.parameters]
    return tuple(n for n in dict.fromkeys(names) if parameters[n].ndim > 1 and not parameters[n].detach().any())


@contextmanager
def awakened(model: nn.Module, names: Sequence[str], seed: int) -> Iterator[None]:
    """Draw these weights with variance 1 / fan_in inside; zero again, in the same version, afterwards."""
    parameters = dict(model.named_parameters())
    weights = [parameters[name] for name in names]
    generator = torch.Generator().manual_seed(seed)
    with _unsafe_preserve_version_counter(tuple(weights)):
        for weight in weights:
            drawn = torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5
            weight.detach().copy_(drawn)
    try:
        yield
    finally:
        with _unsafe_preserve_version_counter(tuple(weights)):
            for weight in weights:
                weight.detach().zero_()


def gaps(names: Sequence[str]) -> tuple[Gap, ...]:
    """What the reader must know about a measurement with awakened heads."""
    reason = "starts at exactly zero: the gradients behind it are those after it is drawn with variance 1 / fan_in"
    return tuple(Gap(name, reason) for name in names)
