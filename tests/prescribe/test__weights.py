"""Only weights that belong to one layer are drawn anew."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from transformers.pytorch_utils import Conv1D

from gradscope.prescribe._weights import weight_layers
from tests.prescribe.cases import graph_of
from tests.subjects import subject


def names(model: nn.Module, x: Tensor) -> list[str]:
    return [layer.name for layer in weight_layers(graph_of(subject(model, x)), model)]


def test_linear_layers_and_convolutions_are_found_in_order() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5))
    assert names(model, torch.randn(2, 1, 8, 8)) == ["0", "4"]


def test_a_weight_tied_to_an_embedding_is_left_alone() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.middle = nn.Embedding(7, 4), nn.Linear(4, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.middle(self.embedding(x)))

    assert names(Tied(), torch.randint(7, (2, 3))) == ["middle"]


def test_a_layer_that_runs_twice_is_found_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.relu(self.layer(x)))

    assert names(Twice(), torch.randn(2, 4)) == ["layer"]


def test_a_computed_weight_is_left_alone() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 2))
    assert names(model, torch.randn(2, 4)) == ["2"]


def test_the_text_of_fan_in_knows_the_layout() -> None:
    model = nn.Sequential(
        Conv1D(6, 4), nn.Unflatten(1, (6, 1)), nn.ConvTranspose1d(6, 2, 3), nn.Flatten(), nn.Linear(6, 3)
    )
    layers = weight_layers(graph_of(subject(model, torch.randn(2, 4))), model)
    assert [layer.is_input_first for layer in layers] == [True, True, False]
    assert [eval(layer.fan_in, {"module": layer.module}) for layer in layers] == [4, 18, 6]
    assert [layer.node.fan_in for layer in layers] == [4, 18, 6]


def test_a_bilinear_layer_and_an_embedding_are_left_alone() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.pair, self.head = nn.Embedding(5, 4), nn.Bilinear(4, 4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            e = self.embedding(x)
            return self.head(self.pair(e, e))

    assert names(Model(), torch.tensor([1, 2])) == ["head"]


def test_a_module_that_only_holds_a_matrix_is_no_linear_layer() -> None:
    class Router(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(x @ self.weight.T, -1)

    assert names(nn.Sequential(nn.Linear(4, 4), Router()), torch.randn(2, 4)) == ["0"]
