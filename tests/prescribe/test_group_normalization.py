"""A group norm behind each convolution that an activation follows; it does not need a batch."""

from __future__ import annotations

import torch
from torch import nn

from tests.prescribe.cases import case, changes, cured
from tests.prescribe.sick import tower


def convolutional(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, channels, 3), nn.ReLU(), nn.Conv2d(channels, 2, 3), nn.Flatten())


def test_every_sample_is_standardized_by_itself() -> None:
    x = 100 * torch.randn(1, 1, 8, 8)
    normed = cured("group-normalization", case(convolutional(16), x))[0](x).view(8, -1)
    assert torch.allclose(normed.mean(1), torch.zeros(8), atol=1e-5)
    assert torch.allclose(normed.square().mean(1), torch.ones(8), atol=1e-3)


def test_groups_divide_the_channels() -> None:
    for channels, groups in ((16, 8), (12, 4), (6, 2), (7, 1)):
        done = cured("group-normalization", case(convolutional(channels), torch.randn(2, 1, 8, 8)))
        assert (done[0][1].num_groups, done[0][1].num_channels) == (groups, channels)


def test_linear_layers_get_none() -> None:
    assert changes("group-normalization", case(tower(3, nn.ReLU), torch.randn(2, 64))) == []
