"""Activations against many draws."""

import pytest
from torch import nn

from tests.predict.checks import agree
from tests.subjects import random

ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus, nn.Hardswish, nn.Mish,
               nn.LogSigmoid]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_layer_of_each(activation: type[nn.Module]) -> None:
    agree(lambda: nn.Sequential(nn.Linear(256, 256), activation()), 2 * random(32, 256))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_three_layers_deep(activation: type[nn.Module]) -> None:
    layers = lambda: (m for _ in range(3) for m in (nn.Linear(256, 256), activation()))  # noqa: E731
    agree(lambda: nn.Sequential(*layers()), random(32, 256))


def test_a_gated_linear_unit() -> None:
    agree(lambda: nn.Sequential(nn.Linear(256, 256), nn.GLU()), 2 * random(32, 256))
