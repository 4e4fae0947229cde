"""Scales of normalization layers."""

import torch
from torch import Tensor, nn

from tests.diagnose.planted import TOKENS, VECTORS, Stack, conformance


def test_a_loop_that_draws_every_parameter() -> None:
    def drawn(*, is_every: bool) -> nn.Module:
        model = Stack()
        for name, parameter in model.named_parameters():
            if is_every or (parameter.ndim > 1 and "embedding" not in name):
                nn.init.normal_(parameter, std=0.02)
        return model

    finding = conformance(lambda: drawn(is_every=True), TOKENS)["GS608"]

    assert set(finding.layers) == {f"layers.{i}.norm{j}.weight" for i in range(4) for j in (1, 2)} | {"norm.weight"}
    assert conformance(lambda: drawn(is_every=False), TOKENS) == {}


def test_a_zero_scale_that_everything_passes() -> None:
    def build(value: float) -> nn.Module:
        model = nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 4))
        nn.init.constant_(model[1].weight, value)
        return model

    assert conformance(lambda: build(0.0), VECTORS)["GS608"].layers == ("1.weight",)
    assert conformance(lambda: build(0.5), VECTORS)["GS608"].layers == ("1.weight",)
    assert conformance(lambda: build(1.0), VECTORS) == {}


def test_a_scale_that_stands_for_one_plus_itself() -> None:
    class PlusOneNorm(nn.Module):  # as Gemma's
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(16))

        def forward(self, x: Tensor) -> Tensor:
            return x * x.square().mean(-1, keepdim=True).rsqrt() * (1 + self.weight)

    assert conformance(lambda: nn.Sequential(nn.Linear(16, 16), PlusOneNorm(), nn.Linear(16, 4)), VECTORS) == {}


def test_a_zero_scale_before_a_weight_ends_a_branch_too_early() -> None:
    def build() -> nn.Module:
        model = Stack()
        nn.init.zeros_(model.layers[2].norm2.weight)
        return model

    assert "layers.2.norm2.weight" in conformance(build, TOKENS)["GS608"].layers


def test_a_shift_that_is_as_large_as_the_scale() -> None:
    def build() -> nn.Module:
        model = Stack()
        for layer in model.layers:
            nn.init.ones_(layer.norm1.bias)
        return model

    assert conformance(build, TOKENS)["GS608"].layers == tuple(f"layers.{i}.norm1.bias" for i in range(4))


def test_draws_about_one_are_silent() -> None:
    def build() -> nn.Module:  # as DCGAN does
        model = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
        nn.init.normal_(model[1].weight, 1.0, 0.02)
        return model

    assert conformance(build, VECTORS) == {}
