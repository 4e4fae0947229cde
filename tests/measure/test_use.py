"""What parameters are for, read off real runs."""

import copy

import torch
from torch import Tensor, nn

from gradscope import capture
from gradscope.measure._use import uses
from gradscope.schema import Use
from tests.diagnose.planted import TOKENS, VECTORS, Stack, mlp
from tests.diagnose.test_misset_router import Mixture
from tests.subjects import random, subject


def use_of(model: nn.Module, *args: Tensor) -> dict[str, Use]:
    graph, _ = capture.graph(subject(model, *args))
    return uses(graph, model, frozenset())


def test_roles_of_a_residual_stack() -> None:
    model = Stack(2)
    found = use_of(model, TOKENS)
    roles = {name: use.role for name, use in found.items()}

    assert roles["embedding.weight"] == "embedding"
    assert roles["layers.1.norm1.weight"] == "norm"
    assert roles["layers.1.norm1.bias"] == "bias"
    assert roles["layers.0.mix.weight"] == "matrix"
    assert roles["layers.0.mix_proj.weight"] == roles["layers.1.c_proj.weight"] == "residual"
    assert roles["layers.0.c_proj.bias"] == "bias"
    assert roles["head.weight"] == "unembedding"
    assert set(roles) == {name for name, _ in model.named_parameters()}


def test_fans_and_followers() -> None:
    found = use_of(mlp(1, activation=nn.Tanh), VECTORS)

    assert found["0.weight"].follower == "tanh"
    assert (found["0.weight"].fan_in, found["0.weight"].fan_out) == (16, 32)
    assert found["2.weight"].role == "head"
    assert found["2.weight"].follower == "output"


def test_dropout_pooling_and_views_are_looked_through() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout(), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    found = use_of(model, random(2, 1, 8, 8))

    assert found["0.weight"].follower == "relu"
    assert found["0.weight"].fan_in == 9


def test_a_tied_table_and_a_router() -> None:
    model = Stack(1)
    model.head.weight = model.embedding.weight

    assert use_of(model, TOKENS)["embedding.weight"].role == "tied"
    assert use_of(Mixture(0.02), VECTORS)["gate.weight"].role == "router"


def test_recurrent_weights() -> None:
    model = nn.LSTM(6, 8, 2)
    found = use_of(model, random(5, 2, 6))

    assert found["weight_hh_l1"].role == "recurrent"
    assert found["weight_ih_l0"].role == "matrix"
    assert (found["weight_ih_l0"].fan_in, found["weight_ih_l1"].fan_in) == (6, 8)


def test_a_layer_that_is_fed_zeros() -> None:
    model = nn.Sequential(nn.Linear(16, 4, bias=False), nn.Linear(4, 4))
    nn.init.zeros_(model[0].weight)
    graph, _ = capture.graph(subject(model, VECTORS))
    silent = [node.index for node in graph.nodes if node.name == "0"]

    assert uses(graph, model, silent)["1.weight"].is_fed_zero
    assert not uses(graph, model, silent)["0.weight"].is_fed_zero
    assert not uses(graph, copy.deepcopy(model), [])["1.weight"].is_fed_zero
    assert torch.equal(model[0].weight, torch.zeros(4, 16))
