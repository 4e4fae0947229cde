"""Zeros that nothing moves, and zeros that are meant."""

import torch
from torch import Tensor, nn

from tests.diagnose.planted import TOKENS, VECTORS, Stack, conformance, mlp


class LowRank(nn.Module):
    """A layer with a low-rank update (LoRA): `up` at zero; `down` must not be."""

    def __init__(self, *, is_down_zero: bool) -> None:
        super().__init__()
        self.base, self.down, self.up = nn.Linear(16, 8), nn.Linear(16, 2, bias=False), nn.Linear(2, 8, bias=False)
        nn.init.zeros_(self.up.weight)
        if is_down_zero:
            nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


def test_both_factors_of_a_low_rank_update_at_zero() -> None:
    finding = conformance(lambda: LowRank(is_down_zero=True), VECTORS)["GS605"]

    assert finding.severity == "error"
    assert finding.layers == ("up.weight",)
    assert "GS605" not in conformance(lambda: LowRank(is_down_zero=False), VECTORS)


def zeroed(*names: str) -> nn.Module:
    model = mlp(3)
    for name in names:
        nn.init.zeros_(model.get_parameter(name))
    return model


def test_a_network_of_zeros() -> None:
    weights = ("0.weight", "2.weight", "4.weight", "6.weight")

    assert conformance(lambda: zeroed(*weights), VECTORS)["GS605"].layers == weights
    assert "GS605" not in conformance(lambda: zeroed("6.weight", "6.bias"), VECTORS)  # a head may start at zero


def test_branches_that_start_at_zero_are_no_alarm() -> None:
    def zero_branches() -> nn.Module:  # Fixup
        model = Stack()
        for layer in model.layers:
            nn.init.zeros_(layer.c_proj.weight)
            nn.init.zeros_(layer.mix_proj.weight)
        nn.init.zeros_(model.head.weight)
        return model

    class ReZero(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(4)])
            self.alpha = nn.ParameterList([nn.Parameter(torch.zeros(())) for _ in range(4)])

        def forward(self, x: Tensor) -> Tensor:
            for layer, alpha in zip(self.layers, self.alpha, strict=True):
                x = x + alpha * torch.relu(layer(x))
            return x

    class ZeroGamma(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv1d(1, 1, 3, padding=1), nn.BatchNorm1d(1)
            nn.init.zeros_(self.norm.weight)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.norm(self.conv(x[:, None]))[:, 0]

    assert conformance(zero_branches, TOKENS) == {}
    assert conformance(ReZero, VECTORS) == {}
    assert conformance(ZeroGamma, VECTORS) == {}
