"""Pooling against many draws."""

import math

import pytest
from torch import nn

from gradscope import predict
from tests.predict.checks import BITS, agree, measured, measured_gradients, predicted
from tests.subjects import random


def test_an_average_over_a_map() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)), random(8, 4, 10, 10))


def test_average_windows() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.AvgPool2d(2)), random(8, 4, 10, 10))


@pytest.mark.parametrize("activation", [nn.Identity, nn.ReLU, nn.GELU])
def test_maxima_of_an_activation(activation: type[nn.Module]) -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), activation(), nn.MaxPool2d(2)), random(8, 4, 10, 10))


def test_maxima_at_a_padded_border() -> None:
    agree(
        lambda: nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(16, 16, 3)),
        random(8, 4, 16, 16),
    )


def test_maxima_of_maxima() -> None:
    def stage(channels: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]

    agree(lambda: nn.Sequential(*stage(4), *stage(32)), random(8, 4, 16, 16))


def test_maxima_over_tiles_of_any_size() -> None:
    agree(lambda: nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(3)), random(8, 4, 10, 10))


def test_a_border_of_minus_infinity_never_wins() -> None:
    def build() -> nn.Module:
        pad = nn.ConstantPad2d((0, 1, 0, 1), float("-inf"))
        return nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), pad, nn.MaxPool2d(3, 2))

    theory, truth = predicted(build, [random(8, 4, 10, 10)]), measured(build, [random(8, 4, 10, 10)])

    assert abs(math.log2(theory["3"] / truth["3"])) < BITS, (theory["3"], truth["3"])


def test_neighbouring_maxima_share_their_largest_entry() -> None:
    """Overlapping windows: what an average over them keeps shows how correlated they are."""
    agree(
        lambda: nn.Sequential(
            nn.Conv2d(4, 64, 1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            nn.BatchNorm2d(64),
            nn.AvgPool2d(2),
            nn.Conv2d(64, 8, 1),
        ),
        random(8, 4, 32, 32),
    )


@pytest.mark.parametrize("kernel", [2, 3])
def test_the_gradient_of_maxima_of_correlated_entries(kernel: int) -> None:
    """A smooth map, windows that overlap: gradients of neighbours meet in one entry."""

    def build() -> nn.Module:
        pool = nn.MaxPool2d(kernel, 1)
        return nn.Sequential(nn.Conv2d(4, 64, 3), nn.AvgPool2d(3, 1), pool, nn.AvgPool2d(2), nn.Conv2d(64, 16, 1))

    x = random(8, 4, 16, 16)
    profile = predict.profile(predict.forward(predict.plan(build), (x,)))
    theory = {y.name: y.gradient.second_moment.value for y in profile.layers if y.gradient}
    truth = measured_gradients(build, [x])
    errors = {name: math.log2(theory[name] / truth[name]) for name in ("0", "1", "2", "3")}
    print(errors)

    assert max(map(abs, errors.values())) < 3 * BITS
