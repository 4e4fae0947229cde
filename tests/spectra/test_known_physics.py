"""Laws of random matrices and of convolutions that hold whatever computes them."""

import math

import pytest
import torch
from torch import nn

from gradscope.spectra import layer_spectrum, operator_norm
from tests.reference import call_of
from tests.spectra.checks import assert_estimate, normal, sweep_of


def norm_of_product(*factors):
    def forth(v):
        for factor in factors:
            v = factor @ v
        return v

    def back(u):
        for factor in reversed(factors):
            u = factor.T @ u
        return u

    start = normal(factors[0].shape[1], seed=99)
    return operator_norm(forth, back, start, tolerance=1e-3, probability=1e-2)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_product_of_gaussian_matrices(depth):
    """σ² -> (L + 1)^(L + 1) / L^L; at finite n the edge is off by a relative (L + 1) n^(-2/3), as edges fluctuate."""
    n = 800
    squares = [
        norm_of_product(*(normal(n, n, seed=10 * draw + i) / math.sqrt(n) for i in range(depth))).value ** 2
        for draw in range(3)
    ]
    law = (depth + 1) ** (depth + 1) / depth**depth
    other = (depth + 2) ** (depth + 2) / (depth + 1) ** (depth + 1)
    mean = sum(squares) / 3
    tolerance = (depth + 1) * n ** (-2 / 3)
    assert mean == pytest.approx(law, rel=tolerance)
    assert mean != pytest.approx(other, rel=tolerance)


@pytest.mark.parametrize(("rows", "columns"), [(1000, 1000), (1500, 500), (300, 1500)])
def test_edge_of_bai_and_yin(rows, columns):
    """σ -> √rows + √columns for independent entries of variance 1 with four moments, here signs."""
    matrix = normal(rows, columns).sign()
    edge = math.sqrt(rows) + math.sqrt(columns)
    assert norm_of_product(matrix).value == pytest.approx(edge, rel=0.015)


def test_heavy_tails_are_past_that_edge():
    matrix = normal(500, 500) / normal(500, 500, seed=1).abs()  # Cauchy: no moments
    assert norm_of_product(matrix).value > 5 * 2 * math.sqrt(500)


def test_orthogonal_weights_keep_lengths():
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(150, 120, bias=False))
    found = layer_spectrum(call_of(layer, normal(2, 150)), sweep_of())
    assert found.spectral_norm.value == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv1d(4, 5, 3, padding=1, padding_mode="circular"), (24,)),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (8, 9)),
        (nn.Conv2d(4, 2, 5, padding=2, padding_mode="circular"), (7, 7)),
        (nn.Conv2d(2, 2, (3, 1), padding=(1, 0), padding_mode="circular"), (10, 6)),
        (nn.Conv3d(2, 3, 3, padding=1, padding_mode="circular"), (4, 5, 4)),
    ],
)
def test_periodic_convolution_has_the_norm_of_its_symbol(layer, size):
    """σ = max over frequencies of the symbol's norm (Sedghi, Gupta and Long, ICLR 2019)."""
    dims = tuple(range(2, 2 + len(size)))
    symbol = torch.fft.fftn(layer.weight.detach().double(), s=size, dim=dims).movedim((0, 1), (-2, -1))
    truth = torch.linalg.matrix_norm(symbol, 2).max().item()
    found = layer_spectrum(call_of(layer, normal(1, layer.in_channels, *size)), sweep_of())
    assert_estimate(found.spectral_norm, truth)
