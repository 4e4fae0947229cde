"""The trunk against networkx's dominators, and gains along it."""

from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.diagnose._signal import gradient_decades, largest_steps, trunk
from tests.diagnose.profiles import chain, layer, profile


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    depth = draw(st.integers(1, 12))
    return [sorted(draw(st.sets(st.integers(0, i - 1), min_size=1, max_size=3))) for i in range(1, depth + 1)]


@given(graphs())
def test_trunk_is_the_chain_of_dominators_of_the_output(inputs: list[list[int]]) -> None:
    found = [x.node.index for x in trunk(profile([layer(i + 1, inputs=ins) for i, ins in enumerate(inputs)]))]
    graph = nx.DiGraph([(a, i + 1) for i, ins in enumerate(inputs) for a in ins])
    dominators = nx.immediate_dominators(graph, 0)
    expected, node = [], len(inputs)
    while node != 0:
        expected.append(node)
        node = dominators[node]

    assert found == expected[::-1]


def test_decades_add_up_over_the_steps() -> None:
    total, steps = gradient_decades(chain(9, gradient_gain=0.1))

    assert total == pytest.approx(-8)
    assert sum(change for change, _ in steps) == pytest.approx(total)
    assert len(largest_steps(steps, total)) == 8


def test_a_cache_that_is_returned_is_not_the_end_of_the_trunk() -> None:
    cached = replace(profile([layer(1), layer(2), layer(3)]), outputs=(1, 3))

    assert [x.name for x in trunk(cached)] == ["layer1", "layer2", "layer3"]
    assert [x.name for x in trunk(replace(cached, outputs=(1,)))] == ["layer1"]
