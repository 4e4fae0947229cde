import pytest
import torch
from torch import nn

from gradscope.spectra import layer_spectrum
from tests.reference import call_of
from tests.spectra.checks import normal, sweep_of


def spectrum_of(layer, x, training=True):
    torch.manual_seed(0)
    return layer_spectrum(call_of(layer.train(training), x), sweep_of())


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("layer", [nn.Dropout, nn.Dropout2d])
def test_the_mask_of_the_run_is_the_jacobian(layer, probability):
    x = normal(4, 10, 3, 3)
    torch.manual_seed(0)
    call = call_of(layer(probability), x)
    mask = (call.output / x).square()
    result = layer_spectrum(call, sweep_of())
    assert result.spectral_norm.value == pytest.approx(mask.max().sqrt().item())
    assert result.rms_gain.value == pytest.approx(mask.mean().sqrt().item())


def test_evaluation_passes_everything():
    assert spectrum_of(nn.Dropout(0.5), normal(5, 5), training=False).spectral_norm.value == 1


def test_entries_that_were_zero_leave_the_gain_uncertain():
    x = normal(1000).relu()
    gain = spectrum_of(nn.Dropout(0.5), x).rms_gain
    assert gain.low < gain.value < gain.high and gain.value == pytest.approx(2**0.5, rel=0.1)


def test_everything_dropped_is_zero():
    assert spectrum_of(nn.Dropout(1.0), normal(5, 5)).spectral_norm.value == 0


def test_random_slopes_are_read_off_the_output():
    x = normal(100)
    torch.manual_seed(0)
    call = call_of(nn.RReLU(), x)
    slope = call.output / x
    result = layer_spectrum(call, sweep_of())
    assert result.spectral_norm.value == pytest.approx(1)
    assert result.rms_gain.value == pytest.approx(slope.square().mean().sqrt().item(), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("layer", "args"),
    [
        (nn.AlphaDropout(0.4), (normal(4, 6),)),
        (nn.FeatureAlphaDropout(0.4), (normal(3, 4, 5),)),
        (nn.LSTM(3, 4, num_layers=2, dropout=0.5), (normal(5, 2, 3),)),
        (nn.MultiheadAttention(4, 2, dropout=0.5), (normal(5, 2, 4),) * 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_that_drew_other_numbers_says_so(layer, args, training):
    found = layer_spectrum(call_of(layer.train(training), *args), sweep_of())
    assert ("drawn anew" in found.spectral_norm.method) == ("drawn anew" in found.rms_gain.method) == training
