"""Windows as entries of their own, against many draws."""

import pytest
from torch import nn
from torch.nn.functional import fold, unfold

from tests.predict.checks import Between, agree
from tests.subjects import random


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1)])
def test_windows_of_a_map_feed_a_linear_layer(kernel: int, stride: int, padding: int) -> None:
    def build() -> nn.Module:
        to_windows = lambda h: unfold(h.relu(), kernel, 1, padding, stride).transpose(1, 2)  # noqa: E731
        first = nn.Conv2d(4, 16, 3, padding=1)
        return nn.Sequential(Between(to_windows, first), nn.Linear(16 * kernel**2, 32))

    agree(build, random(8, 4, 8, 8))


def test_tiles_go_back_to_their_places() -> None:
    there_and_back = lambda h: fold(unfold(h, 2, stride=2), (8, 8), 2, stride=2)  # noqa: E731

    agree(
        lambda: nn.Sequential(
            Between(there_and_back, nn.Conv2d(4, 16, 3, padding=1)), nn.ReLU(), nn.Conv2d(16, 8, 3, padding=1)
        ),
        random(8, 4, 8, 8),
    )


def test_overlapping_windows_along_a_series() -> None:
    agree(
        lambda: nn.Sequential(Between(lambda h: h.unfold(1, 4, 2), nn.Linear(1, 16)), nn.Flatten(), nn.Linear(448, 16)),
        random(8, 16, 1),
    )
