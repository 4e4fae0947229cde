"""Layers that are copies."""

import copy

from torch import nn

from tests.diagnose.planted import TOKENS, Stack, conformance


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
