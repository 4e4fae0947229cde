from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.spectra import layer_spectrum
from tests.reference import call_of
from tests.spectra.checks import assert_dense, drawn, normal, sweep_of, twin_of

SHAPES = [(1, 1), (3, 5), (40, 7), (120, 110), (97, 130), (130, 200)]


@pytest.mark.parametrize(("inputs", "outputs"), SHAPES)
def test_linear_matches_dense(inputs, outputs):
    assert_dense(drawn(nn.Linear(inputs, outputs)), normal(2, inputs))
    weight = nn.Parameter(normal(outputs, inputs, seed=1))
    assert_dense(F.linear, normal(inputs, seed=2), weight)


@pytest.mark.parametrize(("inputs", "outputs"), SHAPES[:5])
def test_huggingface_conv1d_matches_dense(inputs, outputs):
    from transformers.pytorch_utils import Conv1D

    assert_dense(drawn(Conv1D(outputs, inputs)), normal(2, 3, inputs))


def test_orthogonal_weight_has_norm_one():
    layer = nn.Linear(200, 200)
    nn.init.orthogonal_(layer.weight)
    norm = layer_spectrum(call_of(layer, normal(4, 200)), sweep_of()).spectral_norm
    assert norm.low == pytest.approx(1, abs=1e-5) and norm.high == pytest.approx(1, abs=1e-3)


def test_a_tied_weight_is_solved_once():
    layer, sweep = nn.Linear(150, 150), sweep_of()
    first = layer_spectrum(call_of(layer, normal(2, 150)), sweep)
    second = layer_spectrum(call_of(F.linear, normal(5, 150), layer.weight), sweep)
    assert second.spectral_norm is first.spectral_norm


def test_a_generated_weight_is_an_input_too():
    x, weight = normal(3, 4), normal(5, 4, seed=1)
    call = replace(call_of(F.linear, x, weight), constants=())
    norm = layer_spectrum(call, sweep_of()).spectral_norm
    assert norm.value == pytest.approx(twin_of(F.linear, x, weight).spectral_norm, rel=1e-3)


def test_half_precision_weights_are_solved_in_float32():
    layer = nn.Linear(120, 130).bfloat16()
    norm = layer_spectrum(call_of(layer, normal(2, 120).bfloat16()), sweep_of()).spectral_norm
    assert norm.value == pytest.approx(torch.linalg.svdvals(layer.weight.double())[0].item(), rel=1e-3)


def test_a_weight_rewritten_in_secret_is_solved_again():
    layer, sweep = nn.Linear(120, 120), sweep_of()
    first = layer_spectrum(call_of(layer, normal(2, 120)), sweep).spectral_norm
    layer.weight.data.mul_(3)  # leaves no new version
    second = layer_spectrum(call_of(layer, normal(2, 120)), sweep).spectral_norm
    assert second.value == pytest.approx(3 * first.value, rel=1e-3)
