"""Routers of mixtures of experts."""

import pytest
import torch
from torch import Tensor, nn

from tests.diagnose.planted import VECTORS, conformance


class Mixture(nn.Module):
    """Two of four experts for every sample, chosen by a router of a given scale."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 4, bias=False)
        self.experts = nn.ModuleList([nn.Linear(16, 8) for _ in range(4)])
        nn.init.normal_(self.gate.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.gate(x).softmax(-1).topk(2)  # (B, 2)
        outputs = torch.stack([expert(x) for expert in self.experts], 1)  # (B, 4, 8)
        picked = outputs.gather(1, chosen[..., None].expand(-1, -1, 8))
        return (weights[..., None] * picked).sum(1)


@pytest.mark.parametrize("std", [0.0, 3.0])
def test_a_router_that_is_certain_or_blind(std: float) -> None:
    assert conformance(lambda: Mixture(std), VECTORS)["GS611"].layers == ("gate.weight",)


def test_a_small_router_is_silent() -> None:
    assert conformance(lambda: Mixture(0.02), VECTORS) == {}
