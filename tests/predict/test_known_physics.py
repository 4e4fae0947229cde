"""Numbers that theory or careful simulation has established, reproduced by the predicted profile."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradscope import predict
from gradscope.schema import Profile


def perceptron(
    activation: type[nn.Module], *, depth: int, width: int = 1 << 20, weight: float = 1.0, bias: float = 0.0
):
    """A builder of a deep perceptron with weight variance `weight` / width and bias variance `bias`."""

    def build() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(depth):
            linear = nn.Linear(width, width)
            nn.init.normal_(linear.weight, 0.0, math.sqrt(weight / width))
            nn.init.normal_(linear.bias, 0.0, math.sqrt(bias))
            layers += [linear, activation()]
        return nn.Sequential(*layers)

    return build


def signal(*shape: int, **moments: float) -> predict.Signal:
    return predict.Signal(shape, **moments)


def predicted(build: Callable[[], nn.Module], *inputs: predict.Signal) -> Profile:
    return predict.profile(predict.forward(predict.plan(build), inputs))


def second_moments(profile) -> dict[str, float]:
    return {layer.name: layer.activation.second_moment.value for layer in profile.layers if layer.activation}


def gradients(profile) -> dict[str, float]:
    return {layer.name: layer.gradient.second_moment.value for layer in profile.layers if layer.gradient}


def test_relu_halves_the_second_moment_and_the_gradient():
    profile = predicted(perceptron(nn.ReLU, depth=1), signal(8, 1 << 20))
    moments = second_moments(profile)
    assert moments["1"] == pytest.approx(moments["0"] / 2, rel=1e-3)
    assert gradients(profile)["0"] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(("weight", "fixed_point"), [(1.0, 0.1936), (1.3, 0.3153), (1.7, 0.5331), (2.5, 1.0640)])
def test_tanh_converges_to_its_fixed_point(weight: float, fixed_point: float):
    profile = predicted(perceptron(nn.Tanh, depth=40, weight=weight, bias=0.05), signal(8, 1 << 20))
    assert second_moments(profile)["78"] == pytest.approx(fixed_point, rel=1e-2)


@pytest.mark.parametrize(("weight", "chi"), [(1.0, 0.7590), (1.3, 0.8802), (1.7, 0.9867), (2.5, 1.1335), (4.0, 1.3424)])
def test_tanh_gradient_shrinks_by_chi_per_layer(weight: float, chi: float):
    profile = predicted(perceptron(nn.Tanh, depth=40, weight=weight, bias=0.05), signal(8, 1 << 20))
    gradient = gradients(profile)
    assert gradient["58"] / gradient["60"] == pytest.approx(chi, rel=1e-2)


def test_batch_norm_makes_the_gradient_grow_by_pi_over_pi_minus_one():
    def build() -> nn.Module:
        blocks = [
            (nn.Linear(1 << 20, 1 << 20, bias=False), nn.BatchNorm1d(1 << 20, eps=1e-12), nn.ReLU()) for _ in range(10)
        ]
        return nn.Sequential(*(layer for block in blocks for layer in block))

    gradient = gradients(predicted(build, signal(512, 1 << 20)))
    assert gradient["13"] / gradient["16"] == pytest.approx(math.pi / (math.pi - 1), rel=1e-2)


def test_prediction_touches_no_global_random_state():
    before = torch.random.get_rng_state()
    predicted(perceptron(nn.GELU, depth=2), signal(4, 1 << 20))
    assert torch.equal(before, torch.random.get_rng_state())
