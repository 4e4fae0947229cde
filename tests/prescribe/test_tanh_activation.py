"""Sigmoids between layers become tanh with weights drawn for it; the one at the output stays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.prescribe.cases import case, changes, cured, seeded
from tests.prescribe.sick import tower


def gradient_ratio(model: nn.Module) -> float:
    """Norm of the first layer's weight gradient over that of the last."""
    model(torch.randn(32, 64, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
    return float(weights[0].grad.norm() / weights[-1].grad.norm())


def test_the_gradient_no_longer_dies() -> None:
    one = case(seeded(lambda: tower(8, nn.Sigmoid)), torch.randn(4, 64))
    assert gradient_ratio(seeded(lambda: tower(8, nn.Sigmoid))) < 1e-4
    assert gradient_ratio(cured("tanh-activation", one)) > 0.1


def test_the_weights_behind_are_drawn_for_tanh() -> None:
    done = cured("tanh-activation", case(tower(3, nn.Softplus, width=300), torch.randn(4, 64)))
    assert [type(m) for m in done] == [nn.Linear, nn.Tanh] * 3 + [nn.Linear]
    assert 300**0.5 * float(done[2].weight.detach().std()) == pytest.approx(1.5925, rel=0.02)


def test_the_activation_at_the_output_stays() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Sigmoid())
    assert [type(m).__name__ for m in cured("tanh-activation", case(model, torch.randn(4, 8)))] == [
        *("Linear", "Tanh", "Linear", "Sigmoid")
    ]


def test_activations_that_keep_the_gradient_stay() -> None:
    for activation in (nn.ReLU, nn.GELU, nn.SELU):
        assert changes("tanh-activation", case(tower(3, activation), torch.randn(4, 64))) == []


def test_a_function_cannot_be_replaced_by_text() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.sigmoid(self.a(x)))

    assert changes("tanh-activation", case(Functional(), torch.randn(4, 4))) == []
