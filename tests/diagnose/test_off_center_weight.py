"""Weights with a mean."""

import torch
from torch import nn

from tests.diagnose.planted import VECTORS, conformance, mlp


def test_uniform_from_zero_to_one() -> None:
    def build(low: float) -> nn.Module:
        model = mlp(2)
        nn.init.uniform_(model[2].weight, low, 0.3)
        return model

    assert conformance(lambda: build(0.0), VECTORS)["GS613"].layers == ("2.weight",)
    assert conformance(lambda: build(-0.3), VECTORS) == {}


def test_identity_and_diagonals_are_silent() -> None:
    def build() -> nn.Module:
        model = mlp(2)
        nn.init.eye_(model[2].weight)
        with torch.no_grad():
            model[2].weight.add_(torch.randn(32, 32, generator=torch.Generator().manual_seed(0)) / 32)
        return model

    assert conformance(build, VECTORS) == {}
