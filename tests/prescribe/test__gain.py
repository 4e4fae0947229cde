"""Gains against closed forms and against a Monte Carlo twin."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from gradscope.prescribe._gain import is_affine, is_elementwise, scaling

CLOSED = {
    "relu": (F.relu, math.sqrt(2), 1.0),
    "leaky_relu": (lambda z: F.leaky_relu(z, 0.2), math.sqrt(2 / 1.04), 1.0),
    "identity": (lambda z: z * 1.0, 1.0, 1.0),
    "square": (lambda z: z**2, 1 / math.sqrt(3), 4 / 3),
    "sin": (torch.sin, math.sqrt(2 / (1 - math.exp(-2))), (1 + math.exp(-2)) / (1 - math.exp(-2))),
}


@pytest.mark.parametrize("name", CLOSED)
def test_gain_and_chi_equal_the_closed_form(name: str) -> None:
    function, gain, chi = CLOSED[name]
    found = scaling(function)
    assert (found.gain, found.chi) == pytest.approx((gain, chi), rel=1e-7)


@pytest.mark.parametrize("function", [torch.tanh, torch.sigmoid, F.gelu, F.silu, F.hardswish, F.softplus, F.elu])
def test_gain_and_chi_agree_with_sampling(function) -> None:
    z = torch.randn(400_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = function(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    second, slope_second = value.detach() ** 2, slope**2
    found = scaling(function)
    for exact, sample in ((found.gain**-2, second), (found.chi * found.gain**-2, slope_second)):
        assert abs(exact - float(sample.mean())) < 4 * float(sample.std()) / math.sqrt(len(sample))


def test_a_function_that_works_in_place_is_measured_too() -> None:
    assert scaling(lambda z: F.relu(z, inplace=True)).gain == pytest.approx(math.sqrt(2))


def test_a_step_has_no_slope() -> None:
    assert scaling(lambda z: (z > 0).to(z.dtype)).chi == 0


def test_elementwise_is_told_from_what_mixes_elements() -> None:
    assert is_elementwise(F.gelu)
    assert is_elementwise(lambda z: z * torch.sigmoid(z))
    assert not is_elementwise(lambda z: F.softmax(z, 0))
    assert not is_elementwise(lambda z: z / z.norm())
    assert not is_elementwise(lambda z: z.flip(0))
    assert not is_elementwise(lambda z: z[:5])
    assert not is_elementwise(lambda z: z > 0)


def test_affine_is_told_from_curved() -> None:
    assert is_affine(lambda z: 3 * z - 1)
    assert not is_affine(F.relu)
    assert not is_affine(torch.tanh)
