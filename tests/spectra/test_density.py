"""The density of log singular values against dense values and known laws."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from gradscope.spectra import layer_density, operator_density, operator_spectrum
from tests.reference import call_of, dense_spectrum
from tests.spectra.checks import normal, sweep_of
from tests.spectra.hard import FAMILIES, draw


def quadrature_of(matrix, probes=4, steps=24):
    assert min(matrix.shape) > probes * steps, "it would be decomposed"
    generator, tall = torch.Generator().manual_seed(0), matrix if len(matrix) >= len(matrix.mT) else matrix.mT
    assert min(matrix.shape) > probes * steps, "it would be decomposed"
    return operator_density(
        tall.mv,
        tall.mT.mv,
        lambda: torch.randn(tall.shape[1], generator=generator, dtype=tall.dtype),
        probes=probes,
        steps=steps,
    )


def density_of(layer, *args, **options):
    return layer_density(call_of(layer, *args), sweep_of(), **options)


def linear(matrix):
    layer = nn.Linear(*reversed(matrix.shape), bias=False)
    layer.weight.data = matrix.float()
    return layer


@pytest.mark.parametrize("samples", [1, 40])
def test_an_isometry_has_no_spread(samples):
    """Decomposed (60 values), and by quadrature (2400)."""
    found = density_of(linear(3 * torch.linalg.qr(normal(80, 60))[0]), normal(samples, 60))
    assert found.spread.value == pytest.approx(0, abs=1e-5)
    assert found.mean.value == pytest.approx(math.log(3), abs=1e-5)
    assert [share.value for share in found.shares] == pytest.approx([0] * 19 + [1])
    assert found.below.value == 0


def test_intervals_hold_the_dense_mean_and_spread():
    """Of 36 intervals at 99 %, more than two miss less often than once in a hundred times."""
    missed = []
    for family in sorted(FAMILIES.keys() - {"orthogonal"}):
        matrix = draw(family, 3, size=400)
        matrix = matrix if min(matrix.shape) > 96 else torch.block_diag(*(c * matrix for c in (1, 0.8, 0.6, 0.5, 0.4)))
        found = quadrature_of(matrix)
        logs = torch.linalg.svdvals(matrix).clamp_min(found.floor).log()
        mean, spread = logs.mean().item(), logs.std(correction=0).item()
        missed += [(family, e, x) for e, x in ((found.mean, mean), (found.spread, spread)) if not e.low <= x <= e.high]
        assert abs(found.spread.value - spread) <= 0.35 * spread, (family, found.spread, spread)
    assert len(missed) <= 2, missed


def test_a_gaussian_matrix_follows_marchenko_and_pastur():
    """A 900 x 300 matrix of variance 1 / 900: the distance of Kolmogorov and Smirnov, and the edges 1 ± √⅓."""
    matrix = normal(900, 300) / 30
    found = quadrature_of(matrix)
    ends = 1 - 3**-0.5, 1 + 3**-0.5
    x = np.linspace(*ends, 400)
    law = 3 * np.sqrt(np.clip((ends[1] ** 2 - x**2) * (x**2 - ends[0] ** 2), 0, None)) / (math.pi * x)
    law = np.concatenate(([0.0], np.cumsum((law[1:] + law[:-1]) / 2 * np.diff(x))))
    assert law[-1] == pytest.approx(1, abs=1e-3)
    exact = np.searchsorted(torch.linalg.svdvals(matrix).flip(0).numpy(), x) / 300
    seen = np.mean([points.share_below(x) for points in found.probes], axis=0)
    chance = 1.63 / math.sqrt(300 * 4 / 2)  # 1 % of 4 x 300 weights that are squares of normal numbers
    assert np.abs(seen - law).max() < chance
    assert np.abs(seen - exact).max() < chance
    for share, edge in zip((1e-3, 1 - 1e-3), ends, strict=True):
        assert math.exp(found.quantile(share).value) == pytest.approx(edge, rel=0.05)


def test_a_layers_density_counts_its_dead_units_as_lost():
    layer, x = nn.ReLU(), normal(4, 100)
    found = density_of(layer, x)
    dead = (dense_spectrum(layer, x).values < 0.5).double().mean().item()
    assert found.below.low <= dead <= found.below.high
    assert found.shares[0].value + found.shares[-1].value == pytest.approx(1)
    assert (found.quantiles["0.01"].value, found.quantiles["0.99"].value) == pytest.approx((1e-2, 1), rel=1e-4)
    spread = -math.log(1e-2) * math.sqrt(dead * (1 - dead))
    assert found.spread.low <= spread <= found.spread.high


LAYERS = {
    "linear": (lambda: nn.Linear(30, 20), (4, 30)),
    "convolution": (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 4)),
    "normalization": (lambda: nn.LayerNorm(30), (3, 30)),
    "batch normalization": (lambda: nn.BatchNorm1d(8), (9, 8)),
    "recurrent": (lambda: nn.GRU(6, 6, batch_first=True), (3, 5, 6)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, dropout=0.0), (2, 4, 8)),
    "pooling": (lambda: nn.MaxPool1d(3, stride=2), (2, 4, 15)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_any_kind_has_the_density_of_its_dense_jacobian(name):
    build, shape = LAYERS[name]
    torch.manual_seed(0)
    layer, x = build(), normal(*shape)
    exact = copy.deepcopy(layer).double()
    values = dense_spectrum(lambda z: exact(z)[0] if name == "recurrent" else exact(z), x).values
    logs = values.clamp_min(1e-2 * values[0]).log()
    found = density_of(layer, x)
    assert found.mean.method == "dense"
    assert found.mean.value == pytest.approx(logs.mean().item(), abs=2e-3)
    assert found.spread.value == pytest.approx(logs.std(correction=0).item(), abs=2e-3)
    assert found.edges[-1] == pytest.approx(values[0].item(), rel=1e-4)


def test_the_mask_of_dropout_and_half_precision_are_seen_through():
    call = call_of(nn.Dropout(0.5), normal(2, 400))
    dropped = (call.output == 0).double().mean().item()
    found = layer_density(call, sweep_of())
    assert found.below.low <= 0.5 <= found.below.high
    assert abs(dropped - found.below.value) < 0.1
    half = nn.Linear(30, 20).bfloat16()
    values = torch.linalg.svdvals(half.weight.detach().double())
    found = density_of(half, normal(4, 30).bfloat16())
    assert found.spread.value == pytest.approx(values.log().std(correction=0).item(), rel=1e-3)


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


@pytest.mark.parametrize(
    ("layer", "x", "reason"),
    [
        (linear(torch.zeros(5, 4)), normal(1, 4), "zero"),
        (linear(torch.zeros(50, 40)), normal(9, 40), "zero"),
        (nn.Embedding(4, 3), torch.arange(3), "source"),
        (nn.Linear(4, 3), torch.full((2, 4), math.inf), "not finite"),
    ],
    ids=["zero", "many zeros", "source", "infinite"],
)
def test_a_layer_without_a_density_says_why(layer, x, reason):
    found = density_of(layer, x)
    assert not found.is_known
    assert reason in found.spread.method
    assert (found.shares, found.quantiles) == ((), {})


class Failing(nn.Module):
    def forward(self, x):
        if getattr(self, "has_run", False):
            raise ValueError("only once")
        self.has_run = True
        return x * 2


def test_a_layer_that_fails_says_how():
    assert "only once" in density_of(Failing(), normal(2, 3)).spread.method
