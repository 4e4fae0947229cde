"""What stands around a layer is found through everything that only passes the signal on."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope.prescribe._neighbor import END, Neighbor, before, behind
from tests.prescribe.cases import graph_of
from tests.subjects import subject


class Swish(nn.Module):
    """An activation that torch does not have under this name."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(2 * x)


class Program(nn.Module):
    """A linear layer and some code behind it."""

    def __init__(self, then) -> None:
        super().__init__()
        self.first, self.second, self.then = nn.Linear(8, 8), nn.Linear(8, 8), then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self, self.first(x), x)


def follower_of_first(model: nn.Module, x: Tensor | None = None) -> Neighbor:
    graph = graph_of(subject(model, torch.randn(4, 8) if x is None else x))
    first = next(node for node in graph.nodes if node.parameters)
    return behind(graph, model, first.index)


@pytest.mark.parametrize(
    ("behind", "gain"),
    [
        ([nn.ReLU()], math.sqrt(2)),
        ([nn.Dropout(0.5), nn.ReLU(inplace=True)], math.sqrt(2)),
        ([nn.LeakyReLU(0.2)], math.sqrt(2 / 1.04)),
        ([nn.PReLU(init=0.2)], math.sqrt(2 / 1.04)),
        ([nn.Identity(), nn.Dropout(0.1), nn.Tanh()], 1.5925),
        ([Swish()], 1.50846),  # by scipy.integrate.quad
    ],
)
def test_the_activation_behind_a_layer_gives_its_gain(behind: list[nn.Module], gain: float) -> None:
    found = follower_of_first(nn.Sequential(nn.Linear(8, 8), *behind, nn.Linear(8, 8)))
    assert found.kind == "activation"
    assert found.scaling is not None
    assert found.scaling.gain == pytest.approx(gain, rel=1e-4)


def test_pooling_lets_the_signal_through() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.AvgPool1d(2), nn.Flatten(), nn.ReLU())
    assert follower_of_first(model, torch.randn(2, 1, 8)).op == "ReLU"


@pytest.mark.parametrize(
    ("then", "kind", "op"),
    [
        (lambda m, h, x: m.second(F.relu(h)), "activation", "relu"),
        (lambda m, h, x: m.second(F.relu(x + h)), "activation", "relu"),
        (lambda m, h, x: m.second(F.gelu(h.view(4, 2, 4).flatten(1), approximate="tanh")), "activation", "gelu"),
        (lambda m, h, x: m.second(F.layer_norm(h, (8,))), "norm", "layer_norm"),
        (lambda m, h, x: m.second(h.softmax(-1)), "attention", "softmax"),
        (lambda m, h, x: m.second(h * x), "product", "mul"),
        (lambda m, h, x: m.second(h @ x.T @ x), "product", "matmul"),
        (lambda m, h, x: m.second(2 * h + 1), "weight", "Linear"),
        (lambda m, h, x: m.second(h.cumsum(-1)), "unknown", "cumsum"),
        (lambda m, h, x: h.mean(0), "end", ""),
    ],
)
def test_what_follows_in_code_is_found(then, kind: str, op: str) -> None:
    found = follower_of_first(Program(then))
    assert (found.kind, found.op) == (kind, op)


def test_a_function_is_measured_with_the_arguments_it_was_called_with() -> None:
    steep = follower_of_first(Program(lambda m, h, x: m.second(F.leaky_relu(h, 0.9))))
    assert steep.scaling is not None
    assert steep.scaling.gain == pytest.approx(math.sqrt(2 / 1.81))


def test_the_second_call_of_a_function_is_told_from_the_first() -> None:
    model = Program(lambda m, h, x: m.second(F.leaky_relu(h, 0.9) + F.leaky_relu(x, 0.1)))
    reversed_order = Program(lambda m, h, x: m.second(F.leaky_relu(x, 0.1) + F.leaky_relu(h, 0.9)))
    for one in (model, reversed_order):
        found = follower_of_first(one)
        assert found.scaling is not None
        assert found.scaling.gain == pytest.approx(math.sqrt(2 / 1.81))


def test_the_earlier_of_two_paths_decides() -> None:
    found = follower_of_first(Program(lambda m, h, x: m.second(torch.tanh(h)) + torch.relu(h)))
    assert found.op == "tanh"


def test_a_users_activation_that_fails_on_a_probe_is_unknown() -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape == (4, 8)
            return torch.relu(x)

    assert follower_of_first(nn.Sequential(nn.Linear(8, 8), Picky())).kind == "unknown"


def test_what_comes_before_a_layer_is_found_through_the_same_things() -> None:
    model = nn.Sequential(
        nn.Linear(8, 8), nn.Tanh(), nn.Dropout(0.1), nn.Unflatten(1, (2, 4)), nn.Flatten(), nn.Linear(8, 2)
    )
    graph = graph_of(subject(model, torch.randn(4, 8)))
    first, second = (node.index for node in graph.nodes if node.parameters)
    assert before(graph, model, first) == END
    assert before(graph, model, second).op == "Tanh"


def test_the_later_of_two_joining_paths_decides() -> None:
    model = Program(lambda m, h, x: m.second(torch.tanh(h) + torch.relu(h)))
    graph = graph_of(subject(model, torch.randn(4, 8)))
    (last,) = (node.index for node in graph.nodes if node.name == "second")
    assert before(graph, model, last).op == "relu"


def test_a_module_that_is_no_part_of_the_model_is_unknown() -> None:
    outside = nn.SiLU()
    assert follower_of_first(Program(lambda m, h, x: m.second(outside(h)))).kind == "unknown"
