"""A layer norm behind each linear layer that an activation follows, also on sequences."""

from __future__ import annotations

import torch
from torch import nn

from tests.prescribe.cases import case, changes, cured
from tests.prescribe.sick import Residual


def test_every_token_is_standardized_before_the_activation() -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 2))
    x = 100 * torch.randn(3, 5, 8)
    normed = cured("layer-normalization", case(model, x))[0](x)
    assert torch.allclose(normed.mean(-1), torch.zeros(3, 5), atol=1e-5)
    assert torch.allclose(normed.square().mean(-1), torch.ones(3, 5), atol=1e-3)


def test_the_output_layer_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 2))
    assert isinstance(cured("layer-normalization", case(model, torch.randn(2, 8)))[2], nn.Linear)


def test_convolutions_get_none() -> None:
    (found,) = changes("layer-normalization", case(Residual(1), torch.randn(2, 1, 8, 8))) or [None]
    assert found is None
