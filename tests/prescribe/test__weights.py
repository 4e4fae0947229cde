"""Only weights that belong to one layer are drawn anew."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

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
