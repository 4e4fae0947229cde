"""Layers that are copies."""

import copy

import torch
from torch import Tensor, nn

from tests.diagnose.planted import TOKENS, VECTORS, Stack, conformance


def test_layers_made_by_deepcopy() -> None:
    def cloned() -> nn.Module:
        model = Stack(3)
        model.layers = nn.ModuleList([copy.deepcopy(model.layers[0]) for _ in range(3)])
        return model

    finding = conformance(cloned, TOKENS)["GS612"]

    assert "layers.1.fc.weight" in finding.layers
    assert "layers.0.fc.weight" not in finding.layers
    assert "GS612" not in conformance(lambda: Stack(3), TOKENS)


def test_tied_weights_are_one() -> None:
    def tied() -> nn.Module:
        model = Stack(2)
        model.layers[1] = model.layers[0]
        return model

    assert "GS612" not in conformance(tied, TOKENS)


def test_the_same_table_in_every_layer_is_no_weight() -> None:
    class Decaying(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rates = nn.ParameterList([nn.Parameter(torch.arange(1.0, 33).view(2, 16).log()) for _ in range(3)])
            self.head = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            for rate in self.rates:
                x = x * torch.exp(-rate.exp().mean(0) / 16)
            return self.head(x)

    assert "GS612" not in conformance(Decaying, VECTORS)
