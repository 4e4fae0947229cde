"""Blocks against a brute-force twin that walks every path, on random graphs and on real ones."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gradscope.capture._blocks import blocks_of, innermost
from gradscope.schema import Block
from tests.capture.checks import captured
from tests.capture.models import Model, X, linear


@st.composite
def graphs(draw: st.DrawFn) -> tuple[nx.DiGraph, list[str]]:
    """A random acyclic graph with few edges a node, and ops, some of which add."""
    n = draw(st.integers(1, 9))
    digraph = nx.DiGraph()
    digraph.add_nodes_from(range(n))
    for node in range(1, n):
        parents = draw(st.sets(st.integers(0, node - 1), max_size=3))
        digraph.add_edges_from((parent, node) for parent in parents)
    return digraph, draw(st.lists(st.sampled_from(["add", "cat"]), min_size=n, max_size=n))


def twin(digraph: nx.DiGraph, ops: list[str]) -> list[tuple[int, int, tuple[int, ...]]]:
    """Entry, end and nodes of the blocks, by listing all simple paths from every source."""
    regions = {r for s in digraph if digraph.in_degree(s) == 0 for r in regions_from(digraph, s)}
    kept: list[tuple[int, int, tuple[int, ...]]] = []
    for region in sorted(regions, key=lambda r: (ops[r[1]] != "add", len(r[2]), r[1], -r[0])):
        nodes = set(region[2])
        fits = all(nodes.isdisjoint(k[2]) or nodes <= set(k[2]) or nodes >= set(k[2]) for k in kept)
        if fits and all(k[1] != region[1] for k in kept):
            kept.append(region)
    return sorted(kept, key=lambda r: r[1])


def regions_from(digraph: nx.DiGraph, source: int) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    for end in digraph:
        paths = list(nx.all_simple_paths(digraph, source, end)) if end != source else []
        if len({path[-2] for path in paths}) < 2:
            continue  # no merge of what comes from this source
        common = set.intersection(*(set(path[:-1]) for path in paths))
        entry = max(common)  # indices grow along every path, so the last common layer has the largest
        yield entry, end, tuple(sorted({i for path in paths for i in path[path.index(entry) + 1 :]}))


@given(graphs())
def test_blocks_are_those_of_the_brute_force_twin(drawn: tuple[nx.DiGraph, list[str]]) -> None:
    digraph, ops = drawn
    blocks = blocks_of(digraph, [str(i) for i in digraph], ops)
    assert [(b.entry, b.exit, b.nodes) for b in blocks] == twin(digraph, ops)
    assert [b.kind for b in blocks] == ["residual" if ops[b.exit] == "add" else "branch" for b in blocks]


@given(graphs())
def test_the_innermost_block_is_the_smallest_around_a_layer(drawn: tuple[nx.DiGraph, list[str]]) -> None:
    digraph, ops = drawn
    blocks = blocks_of(digraph, [str(i) for i in digraph], ops)
    for node, name in innermost(blocks).items():
        sizes = {b.name: len(b.nodes) for b in blocks if node in b.nodes}
        assert sizes[name] == min(sizes.values())
    assert innermost(blocks).keys() == {i for b in blocks for i in b.nodes}


def named(blocks: tuple[Block, ...], names: list[str]) -> list[tuple[str, str, str, list[str]]]:
    return [(b.kind, names[b.entry], b.name, [names[i] for i in b.nodes]) for b in blocks]


def test_a_residual_branch_ends_in_its_add() -> None:
    model = nn.Sequential(linear(), Model(lambda self, x: x + self.b(self.a(x)), a=linear(), b=nn.ReLU()), linear())
    with captured(model, X) as c:
        names = [n.name for n in c.graph.nodes]
        assert named(c.graph.blocks, names) == [("residual", "0", "1.add_1", ["1.a", "1.b", "1.add_1"])]
        assert [n.block for n in c.graph.nodes] == [None, None, "1.add_1", "1.add_1", "1.add_1", None]


def test_a_mask_from_the_side_does_not_hide_residual_branches() -> None:
    def layer(self, x, mask):
        return x + self.a(x * mask)

    inner = [Model(layer, a=linear()) for _ in range(3)]
    model = Model(
        lambda self, x, mask: self.c(self.b(self.a(x, mask), mask), mask), **dict(zip("abc", inner, strict=True))
    )
    with captured(model, X, torch.ones(4, 1)) as c:
        names = [n.name for n in c.graph.nodes]
        residual = [b for b in named(c.graph.blocks, names) if b[0] == "residual"]
        assert residual == [
            ("residual", "input", "a.add_1", ["a.mul_1", "a.a", "a.add_1"]),
            ("residual", "a.add_1", "b.add_1", ["b.mul_1", "b.a", "b.add_1"]),
            ("residual", "b.add_1", "c.add_1", ["c.mul_1", "c.a", "c.add_1"]),
        ]
