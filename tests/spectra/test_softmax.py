import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.spectra import layer_spectrum
from tests.reference import call_of
from tests.spectra.checks import assert_dense, assert_estimate, normal, sweep_of, twin_of

SHAPES = [(1, 4), (5, 1), (3, 2), (2, 3, 7), (2, 2, 4, 5), (100, 3)]


@pytest.mark.parametrize("layer", [nn.Softmax(-1), nn.Softmin(-1), nn.LogSoftmax(-1), nn.Softmax(1)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.1, 3])
def test_softmax_matches_dense(layer, shape, scale):
    assert_dense(layer, scale * normal(*shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_functional_softmax_matches_dense(shape):
    assert_dense(torch.softmax, normal(*shape), dim=0)
    assert_dense(F.log_softmax, normal(*shape), -1)


def test_uniform_and_one_hot_rows_match_dense():
    assert_dense(torch.softmax, torch.zeros(3, 6), -1)
    assert_dense(torch.softmax, 1e4 * torch.eye(4), -1)


def test_two_dimensional_softmax_is_over_channels():
    assert_dense(nn.Softmax2d(), normal(2, 3, 4, 4))


@pytest.mark.parametrize("gap", [0, 5, 20, 80])
@pytest.mark.parametrize("n", [2, 3, 9])
def test_saturated_rows_keep_their_digits(n, gap):
    logits = normal(4, n) - gap * (torch.arange(n) > 0)
    logits = logits * (torch.arange(n) > 0)
    found = layer_spectrum(call_of(torch.softmax, logits, -1), sweep_of())
    truths, squares = [], 0.0
    for p in logits.double().softmax(-1):  # J is the sum of pᵢpⱼ (eᵢ - eⱼ)(eᵢ - eⱼ)ᵀ over pairs, where nothing cancels
        first, second = torch.triu_indices(n, n, 1)
        identity = torch.eye(n, dtype=torch.float64)
        root = (p[first] * p[second]).sqrt()[:, None] * (identity[first] - identity[second])
        values = torch.linalg.svdvals(root).square()
        truths.append(values.max().item())
        squares += values.square().sum().item()
    assert found.spectral_norm.value == pytest.approx(max(truths), rel=1e-4)
    assert found.rms_gain.value == pytest.approx(math.sqrt(squares / logits.numel()), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layer", [nn.Softmax(-1), nn.Softmin(-1), nn.LogSoftmax(-1)])
def test_half_precision_probabilities_are_computed_anew(layer, dtype):
    x = (3 * normal(5, 7)).to(dtype)
    twin, found = twin_of(layer, x.double()), layer_spectrum(call_of(layer, x), sweep_of())
    assert_estimate(found.spectral_norm, twin.spectral_norm)
    assert_estimate(found.rms_gain, twin.rms_gain)
