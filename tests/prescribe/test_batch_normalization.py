"""A batch norm behind each layer that an activation follows, of the right dimension, and nowhere else."""

from __future__ import annotations

import torch
from torch import nn

from tests.prescribe.cases import case, change, changes, cured
from tests.prescribe.sick import Residual, tower


def test_every_feature_is_standardized_before_the_activation() -> None:
    model = tower(3, nn.Tanh, width=16, gain=9.0)
    x = 5 + 40 * torch.randn(64, 64)
    done = cured("batch-normalization", case(model, x))
    normed = done[2](torch.tanh(done[0](x)))
    assert torch.allclose(normed.mean(0), torch.zeros(16), atol=1e-5)
    assert torch.allclose(normed.var(0, unbiased=False), torch.ones(16), atol=1e-3)


def test_the_output_layer_gets_none() -> None:
    assert change("batch-normalization", case(tower(3, nn.Tanh), torch.randn(4, 64))).layers == ("0", "2", "4")


def test_convolutions_get_the_norm_of_their_dimension() -> None:
    code = change("batch-normalization", case(Residual(2), torch.randn(4, 1, 8, 8))).code
    assert "torch.nn.BatchNorm2d(module.out_channels)" in code
    assert cured("batch-normalization", case(Residual(2), torch.randn(4, 1, 8, 8)))(torch.randn(3, 1, 8, 8)).shape == (
        3,
        10,
    )


def test_linear_layers_on_sequences_and_single_samples_get_none() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    assert changes("batch-normalization", case(model, torch.randn(2, 5, 8))) == []
    assert changes("batch-normalization", case(model, torch.randn(1, 8))) == []


def test_a_layer_that_has_a_norm_gets_no_second() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    assert change("batch-normalization", case(model, torch.randn(4, 8))).layers == ("3",)
