"""The iteration itself: bounds that hold, spectra that are hard, and inputs that are not numbers."""

import math

import pytest
import torch

from gradscope.spectra import operator_norm
from tests.spectra.checks import normal


def norm_of(matrix, **options):
    options = {"tolerance": 1e-2, "probability": 1e-2, **options}
    return operator_norm(matrix.mv, matrix.T.mv, normal(matrix.shape[1], seed=9), **options)


def with_values(values, seed=0):
    n = len(values)
    left, right = (torch.linalg.qr(normal(n, n, seed=seed + i))[0] for i in range(2))
    return left @ torch.diag(torch.as_tensor(values)) @ right


SPECTRA = {
    "gaussian": lambda: normal(200, 150, seed=4) / 12,
    "identity": lambda: torch.eye(100),
    "orthogonal": lambda: torch.linalg.qr(normal(120, 120))[0],
    "rank one": lambda: torch.outer(normal(80), normal(90, seed=1)),
    "spike": lambda: with_values([2.0, *torch.linspace(0.01, 1, 99).tolist()]),
    "cluster": lambda: with_values([1.0] * 5 + [0.99] * 20 + [0.5] * 75),
    "power law": lambda: with_values([1 / (i + 1) for i in range(100)]),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-3])
def test_value_within_tolerance_and_truth_within_bounds(name, tolerance):
    matrix = SPECTRA[name]()
    truth = torch.linalg.svdvals(matrix.double())[0].item()
    norm = norm_of(matrix, tolerance=tolerance)
    assert norm.status == "ok" and norm.low <= truth <= norm.high, (norm, truth)
    assert norm.value == pytest.approx(truth, rel=tolerance)


@pytest.mark.parametrize("name", SPECTRA)
def test_a_certificate_closes_the_interval(name):
    norm = norm_of(SPECTRA[name](), is_certified=True)
    assert norm.high / norm.low - 1 <= 1.01e-2


def test_fixed_number_of_iterations():
    assert norm_of(SPECTRA["gaussian"](), iterations=5).n == 5


def test_vectors_may_be_tuples():
    a, b = normal(30, 20), normal(30, 10, seed=1)
    joint = operator_norm(
        lambda v: (a @ v[0] + b @ v[1],),
        lambda u: (a.T @ u[0], b.T @ u[0]),
        (normal(20, seed=2), normal(10, seed=3)),
        tolerance=1e-3,
        probability=1e-2,
    )
    assert joint.value == pytest.approx(torch.linalg.svdvals(torch.cat((a, b), 1))[0].item(), rel=1e-3)


def test_zero_operator_has_norm_zero():
    norm = norm_of(torch.zeros(5, 7))
    assert (norm.value, norm.low, norm.high, norm.status) == (0, 0, 0, "ok")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_entries_that_are_not_finite_end_the_run(bad):
    matrix = normal(50, 50)
    matrix[3, 4] = bad
    assert norm_of(matrix).status == "nonfinite"


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_does_not_matter(scale):
    matrix = normal(60, 60)
    assert norm_of(matrix * scale).value == pytest.approx(norm_of(matrix).value * scale, rel=1e-5)
