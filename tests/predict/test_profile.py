"""The gain of a whole network: its interval against what many initializations give."""

import math
import statistics
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradscope import predict
from gradscope.schema import Estimate
from tests.subjects import random

SEEDS = 60


def chain(activation: type[nn.Module], width: int, depth: int, weight: float, bias: float) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.normal_(linear.weight, 0.0, math.sqrt(weight / width))
        nn.init.normal_(linear.bias, 0.0, math.sqrt(bias))
        layers += [linear, activation()]
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """Pre-norm blocks."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(depth)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


def predicted_gain(build: Callable[[], nn.Module], x: torch.Tensor) -> Estimate:
    return predict.profile(predict.forward(predict.plan(build), (x.to("meta"),))).network["gradient_gain"]


def measured_gains(build: Callable[[], nn.Module], x: torch.Tensor) -> list[float]:
    gains = []
    with torch.random.fork_rng():
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            given = torch.randn_like(x).requires_grad_()
            output = build()(given)
            direction = torch.randn_like(output)
            (output * direction).sum().backward()
            assert given.grad is not None
            gains.append(float(given.grad.norm() / direction.norm()))
    return gains


@pytest.mark.parametrize(
    "build",
    [
        lambda: chain(nn.ReLU, 64, 20, 2.0, 0.0),
        lambda: chain(nn.Tanh, 128, 20, 1.76, 0.05),
        lambda: chain(nn.Tanh, 128, 12, 1.0, 0.05),
        lambda: Residual(64, 10),
    ],
    ids=["relu", "tanh critical", "tanh ordered", "residual"],
)
def test_the_gain_of_a_network_lies_in_its_interval(build: Callable[[], nn.Module]) -> None:
    x = random(8, next(iter(build().parameters())).shape[-1])
    theory, gains = predicted_gain(build, x), measured_gains(build, x)
    inside = statistics.fmean(theory.low <= g <= theory.high for g in gains)
    logs = [math.log(g) for g in gains]
    error = math.log(theory.value) - statistics.fmean(logs)
    spread, width = statistics.stdev(logs), math.log(theory.high / theory.low) / 4
    print(
        f"{theory}: {inside:.0%} inside, mean of the logarithm off by {error:+.3f}, spread {spread:.3f} of {width:.3f}"
    )

    assert inside >= 0.85  # 95 % are expected
    assert abs(error) < 0.06 + 3 * spread / math.sqrt(SEEDS)
    assert width < 2 * spread + 0.06  # an interval that holds everything says nothing


def test_a_wider_network_has_a_narrower_interval() -> None:
    widths = []
    for width in (64, 256):
        theory = predicted_gain(lambda width=width: chain(nn.ReLU, width, 20, 2.0, 0.0), random(8, width))
        widths.append(math.log(theory.high / theory.low))
    print(widths)

    assert widths[1] < 0.7 * widths[0]  # 1 / sqrt(width), and what theory itself leaves open
