"""Scales that fan and activation do not bear."""

import math

import torch
from torch import nn

from tests.diagnose.planted import VECTORS, conformance, mlp


def test_standard_normal_weights_are_named() -> None:
    def build() -> nn.Module:
        model = mlp(2)
        nn.init.normal_(model[2].weight)
        return model

    finding = conformance(build, VECTORS)["GS601"]

    assert finding.layers == ("2.weight",)
    assert abs(finding.evidence["relative_scale"].value / math.sqrt(32 / 2) - 1) < 0.1


def test_weights_far_too_small_on_the_path_are_named() -> None:
    def build() -> nn.Module:
        model = mlp(2)
        nn.init.normal_(model[2].weight, std=1e-3)
        return model

    assert conformance(build, VECTORS)["GS601"].layers == ("2.weight",)
    assert "GS601" not in conformance(lambda: mlp(2), VECTORS)


def test_small_losses_add_up_over_depth() -> None:
    def he() -> nn.Module:
        model = mlp(20)
        for module in model:
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        return model

    finding = conformance(lambda: mlp(20), VECTORS)["GS601"]
    decades = 20 * math.log10(1 / math.sqrt(6))  # torch's default has variance 1 / (3 fan_in), a rectifier needs 2

    assert abs(finding.evidence["decades"].value - decades) < 0.2
    assert "GS601" not in conformance(he, VECTORS)


def test_before_a_normalization_only_a_far_larger_scale_matters() -> None:
    def build(std: float) -> nn.Module:
        model = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 5))
        nn.init.normal_(model[0].weight, std=std)
        return model

    assert "GS601" not in conformance(lambda: build(1.0), VECTORS)
    assert "GS601" not in conformance(lambda: build(1e-4), VECTORS)
    assert conformance(lambda: build(5.0), VECTORS)["GS601"].layers == ("0.weight",)


def test_lengths_and_directions_are_no_two_weights() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(16, 32)), nn.ReLU(), nn.Linear(32, 5))

    assert conformance(build, VECTORS) == {}


def test_a_hand_written_weight_is_seen() -> None:
    class Raw(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.first, self.last = nn.Parameter(scale * torch.randn(16, 64)), nn.Parameter(torch.randn(64, 5) / 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(x @ self.first) @ self.last

    assert conformance(lambda: Raw(4.0), VECTORS)["GS601"].layers == ("first",)
    assert "GS601" not in conformance(lambda: Raw(0.25), VECTORS)
