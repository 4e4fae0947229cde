"""He initialization with the measured gain keeps the second moment of activations at any depth."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tests.prescribe.cases import case, change, changes, cured, seeded
from tests.prescribe.sick import tower


def second_moments(model: nn.Module, x: Tensor) -> list[float]:
    """Mean square of every activation's output."""
    found: list[float] = []
    activations = nn.ReLU | nn.Tanh | nn.GELU | nn.LeakyReLU | nn.SiLU
    hooks = [
        m.register_forward_hook(lambda module, args, output: found.append(float(output.square().mean())))
        for m in model.modules()
        if isinstance(m, activations)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.GELU, nn.SiLU])
def test_the_second_moment_stays_where_torchs_default_loses_it(activation: type[nn.Module]) -> None:
    one = case(seeded(lambda: tower(12, activation, width=256)), torch.randn(64, 64))
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    lost, kept = second_moments(one.model, x), second_moments(cured("he-initialization", one), x)
    print(lost, kept)
    assert lost[-1] < 0.02 * lost[0]
    assert 1 / 4 < kept[-1] / kept[0] < 4


def test_each_layer_makes_up_for_the_activation_before_it() -> None:
    hidden = (nn.Linear(400, 400), nn.Dropout(), nn.Tanh(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 400))
    model = nn.Sequential(*hidden, nn.ReLU(), nn.Linear(400, 3))
    done = cured("he-initialization", case(model, torch.randn(2, 400)))
    stds = [20 * float(layer.weight.detach().std()) for layer in done if isinstance(layer, nn.Linear)]
    assert stds == pytest.approx([1.0, 1.5925, math.sqrt(2), 1.0], rel=0.06)  # three standard errors of the smallest
    assert all(not layer.bias.detach().any() for layer in done if isinstance(layer, nn.Linear))


def test_layers_that_feed_a_norm_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    assert change("he-initialization", case(model, torch.randn(8, 4))).layers == ("3",)


def test_a_layer_without_bias_stays_without() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    done = cured("he-initialization", case(model, torch.randn(2, 4)))
    assert done[0].bias is None
    assert not done[2].bias.detach().any()


def test_it_is_not_proposed_where_no_scale_can_help() -> None:
    assert changes("he-initialization", case(tower(12, nn.Sigmoid), torch.randn(2, 64))) == []
    assert changes("he-initialization", case(tower(2, nn.Sigmoid), torch.randn(2, 64))) != []
