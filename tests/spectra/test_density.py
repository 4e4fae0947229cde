"""The density of log singular values against dense values and known laws."""

import math

import pytest
import torch
from torch import nn

from gradscope.spectra import layer_density, operator_spectrum
from tests.reference import call_of, dense_spectrum
from tests.spectra.checks import normal, sweep_of
from tests.spectra.hard import draw


def density_of(matrix, probes=4, steps=24):
    layer = nn.Linear(*reversed(matrix.shape), bias=False)
    layer.weight.data = matrix.float()
    return layer_density(call_of(layer, normal(1, matrix.shape[1])), sweep_of(), probes=probes, steps=steps)


def test_an_isometry_has_no_spread():
    density = density_of(3 * torch.linalg.qr(normal(80, 60))[0])
    assert density.spread.value == pytest.approx(0, abs=1e-4)
    assert density.mean.value == pytest.approx(math.log(3), abs=1e-4)


@pytest.mark.parametrize("family", ["gaussian_product", "lognormal", "residual_product", "tanh_network"])
def test_mean_and_spread_match_dense(family):
    matrix = draw(family, 3, size=240)
    values = torch.linalg.svdvals(matrix)
    logs = values.clamp_min(1e-2 * values[0]).log()
    density = density_of(matrix, steps=40)
    spread = logs.std(correction=0).item()
    assert density.spread.value == pytest.approx(spread, rel=0.15), (density.spread, spread)
    assert density.mean.value == pytest.approx(logs.mean().item(), abs=0.15 * spread)


def test_quantiles_follow_marchenko_and_pastur():
    """A 600 x 300 matrix of variance 1 / 600: singular values from 1 - √½ to 1 + √½."""
    density = density_of(normal(600, 300) / math.sqrt(600), steps=60)
    for share, edge in ((1e-4, 1 - math.sqrt(0.5)), (1 - 1e-4, 1 + math.sqrt(0.5))):
        assert math.exp(density.quantile(share)) == pytest.approx(edge, rel=0.05)


def test_a_layers_density_counts_its_dead_units_as_lost():
    layer, x = nn.ReLU(), normal(1, 400)
    density = layer_density(call_of(layer, x), sweep_of())
    share = (dense_spectrum(layer, x).values > 0.5).double().mean().item()
    assert math.exp(density.quantile(0.99)) == pytest.approx(1)
    assert math.exp(density.quantile(0.01)) == pytest.approx(1e-2)
    lost = math.log(1e-2)
    assert density.spread.value == pytest.approx(-lost * math.sqrt(share * (1 - share)), rel=0.1)


def test_one_probe_bounds_nothing_and_more_narrow_the_interval():
    matrix = draw("lognormal", 1, size=120).float()

    def spread(probes):
        return operator_spectrum(
            *(matrix.mv, matrix.mT.mv, normal(matrix.shape[1])),
            tolerance=1e-2,
            probability=1e-2,
            iterations=12,
            probes=[normal(matrix.shape[1], seed=i) for i in range(1, probes)],
        ).quantities["log_spread"]

    assert (spread(1).low, spread(1).high) == (0, math.inf)
    assert spread(12).high - spread(12).low < spread(3).high - spread(3).low


def test_a_zero_operator_has_no_density():
    assert density_of(torch.zeros(5, 4)) is None
