"""Orthogonal weights have equal singular values, and delta-orthogonal convolutions keep every pixel's norm."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.prescribe.cases import case, cured


def test_all_singular_values_are_the_gain() -> None:
    model = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
    done = cured("orthogonal-initialization", case(model, torch.randn(2, 32)))
    for layer, gain in ((done[0], 1.0), (done[2], math.sqrt(2)), (done[4], 1.0)):
        values = torch.linalg.svdvals(layer.weight.detach().double())
        assert values.tolist() == pytest.approx([gain] * len(values), rel=1e-3)


def test_a_widening_layer_keeps_the_mean_square_of_its_input() -> None:
    model = nn.Sequential(nn.Linear(8, 128, bias=False), nn.Linear(128, 8))
    done = cured("orthogonal-initialization", case(model, torch.randn(2, 8)))
    x = torch.randn(50, 8)
    assert float(done[0](x).detach().square().mean() / x.square().mean()) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("convolution", [nn.Conv1d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)])
def test_a_convolution_keeps_the_norm_of_every_pixel(convolution: nn.Module) -> None:
    x = torch.randn(2, 4, *[6] * (convolution.weight.dim() - 2))
    done = cured("orthogonal-initialization", case(nn.Sequential(convolution, nn.Flatten()), x))
    assert torch.allclose(done[0](x).norm(dim=1), x.norm(dim=1), rtol=1e-4)
