"""Blocks: the regions between a layer and the merge that it dominates, such as residual branches with their adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import networkx as nx

from gradscope.schema import Block

_RESIDUAL_OPS = frozenset({"add", "sub", "Add", "FloatFunctional"})


def blocks_of(digraph: nx.DiGraph, names: Sequence[str], ops: Sequence[str]) -> tuple[Block, ...]:
    """Regions with one entry that end in a merge, in order of their ends; two regions are nested or disjoint.

    The entry of a merge is its immediate dominator (Lengauer & Tarjan 1979), the last layer that every path to
    it passes, for the paths from one source: masks and position biases that enter a branch from the side do not
    matter. Of the regions that several sources give, residual branches take precedence, then the smaller ones, and
    what overlaps a region that is kept is not.

    Args:
        digraph: layers in execution order, node = index.
        names: name of each layer.
        ops: op of each layer.
    """
    candidates = {
        Block(names[end], "residual" if ops[end] in _RESIDUAL_OPS else "branch", entry, end, nodes)
        for source in digraph
        if not digraph.pred[source]
        for entry, end, nodes in _regions(digraph, source)
    }
    kept: dict[int, set[int]] = {}  # end -> nodes
    around: dict[int, list[int]] = {}  # layer -> ends of the kept regions around it
    blocks = []
    for block in sorted(candidates, key=_precedence):
        nodes = set(block.nodes)
        touched = {end for i in nodes for end in around.get(i, ())}
        if block.exit not in kept and all(kept[end] <= nodes or nodes <= kept[end] for end in touched):
            kept[block.exit] = nodes
            blocks.append(block)
            for i in nodes:
                around.setdefault(i, []).append(block.exit)
    return tuple(sorted(blocks, key=lambda block: block.exit))


def _precedence(block: Block) -> tuple[bool, int, int, int]:
    """Residual branches first, small regions before large ones."""
    return block.kind != "residual", len(block.nodes), block.exit, -block.entry


def innermost(blocks: Sequence[Block]) -> dict[int, str]:
    """Layer -> name of the smallest block around it."""
    return {node: block.name for block in sorted(blocks, key=lambda block: -len(block.nodes)) for node in block.nodes}


def _regions(digraph: nx.DiGraph, source: int) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Entry, end and nodes of the regions on the paths from one source."""
    reached = digraph.subgraph(nx.descendants(digraph, source) | {source})
    merges = [node for node in reached if len(reached.pred[node]) > 1]
    if not merges:
        return
    dominator = nx.immediate_dominators(reached, source)
    for merge in merges:
        yield dominator[merge], merge, _between(reached, dominator[merge], merge)


def _between(digraph: nx.DiGraph, entry: int, merge: int) -> tuple[int, ...]:
    """The nodes on paths from the entry to the merge, without the entry."""
    seen, stack = {merge}, [merge]
    while stack:
        for parent in digraph.pred[stack.pop()]:
            if parent != entry and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return tuple(sorted(seen))
