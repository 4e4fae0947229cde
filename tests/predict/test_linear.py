"""Linear layers against many draws."""

from torch import nn

from tests.predict.checks import agree
from tests.subjects import random


def test_default_initialization() -> None:
    agree(lambda: nn.Sequential(nn.Linear(64, 128), nn.Linear(128, 32, bias=False), nn.Linear(32, 64)), random(32, 64))


def test_a_drawn_gain() -> None:
    def build() -> nn.Module:
        layer = nn.Linear(64, 64)
        nn.init.normal_(layer.weight, std=0.3)
        nn.init.zeros_(layer.bias)
        return nn.Sequential(layer)

    agree(build, random(32, 64))


def test_a_shared_bias_is_seen_by_the_next_layer() -> None:
    agree(lambda: nn.Sequential(*(nn.Linear(512, 512) for _ in range(6))), 0.1 * random(32, 512))
