"""Blocks: the regions between a layer and the merge that it dominates, such as residual branches with their adds."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from gradscope.schema import Block

_RESIDUAL_OPS = frozenset({"add", "sub", "Add", "FloatFunctional"})
_ROOT = -1


def blocks_of(digraph: nx.DiGraph, names: Sequence[str], ops: Sequence[str]) -> tuple[Block, ...]:
    """Every single-entry region that ends in a merge, in order of its end.

    The entry of a merge is its immediate dominator (Lengauer & Tarjan 1979): the last layer that every path
    to the merge passes.

    Args:
        digraph: layers in execution order, node = index.
        names: name of each layer.
        ops: op of each layer.
    """
    rooted = nx.DiGraph(digraph)
    rooted.add_edges_from((_ROOT, node) for node in digraph if digraph.in_degree(node) == 0)
    if not rooted:
        return ()
    dominator = nx.immediate_dominators(rooted, _ROOT)
    blocks = []
    for merge in sorted(digraph):
        entry = dominator.get(merge, _ROOT)
        if digraph.in_degree(merge) > 1 and entry != _ROOT and entry is not None:
            kind = "residual" if ops[merge] in _RESIDUAL_OPS else "branch"
            blocks.append(Block(names[merge], kind, entry, merge, _between(digraph, entry, merge)))
    return tuple(blocks)


def innermost(blocks: Sequence[Block]) -> dict[int, str]:
    """Layer -> name of the smallest block around it."""
    owner: dict[int, Block] = {}
    for block in blocks:
        for node in block.nodes:
            if node not in owner or len(block.nodes) < len(owner[node].nodes):
                owner[node] = block
    return {node: block.name for node, block in owner.items()}


def _between(digraph: nx.DiGraph, entry: int, merge: int) -> tuple[int, ...]:
    seen, stack = {merge}, [merge]
    while stack:
        for parent in digraph.predecessors(stack.pop()):
            if parent != entry and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return tuple(sorted(seen))
