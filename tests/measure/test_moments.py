"""Moments against NumPy in float64."""

import math

import numpy as np
import pytest
import torch

from gradscope.measure._moments import as_moments, moments_of


def check(x: torch.Tensor, rtol: float = 1e-6) -> None:
    exact = x.double().numpy().ravel()
    found = as_moments(moments_of(x), x.numel())

    assert found.mean.value == pytest.approx(exact.mean(), rel=rtol, abs=rtol * np.abs(exact).max())
    assert found.second_moment.value == pytest.approx((exact**2).mean(), rel=rtol)
    assert found.variance.value == pytest.approx(exact.var(), rel=1e-3)
    assert found.absolute_maximum.value == pytest.approx(np.abs(exact).max(), rel=rtol)
    assert found.zero_fraction.value == pytest.approx((exact == 0).mean(), abs=1e-12)


@pytest.mark.parametrize("shape", [(1,), (7,), (4096,), (4097,), (3, 5000), (2, 3, 64, 65)])
def test_moments_equal_numpys(shape: tuple[int, ...]) -> None:
    check(torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu() + 0.0)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e18, 1e30])
def test_squares_that_leave_float32_do_not_matter(scale: float) -> None:
    check(torch.randn(3, 5000, generator=torch.Generator().manual_seed(0)) * scale)


def test_variance_survives_a_large_mean() -> None:
    check(torch.randn(50_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1e4)
    check(torch.randn(50_000, generator=torch.Generator().manual_seed(0)) + 100)


def test_zeros_are_counted_beyond_what_float32_can_count() -> None:
    x = torch.ones(17_000_001)
    x[::17] = 0

    assert moments_of(x)[4] == pytest.approx((x == 0).double().mean().item(), abs=1e-12)


def test_nonfinite_elements_are_counted_and_left_out() -> None:
    x = torch.tensor([1.0, 3.0, math.inf, math.nan])
    found = as_moments(moments_of(x), 4)

    assert found.mean.value == 2
    assert found.nonfinite_fraction.value == 0.5
    assert found.absolute_maximum.status == "nonfinite"


def test_nothing_but_nan_is_a_result() -> None:
    found = as_moments(moments_of(torch.full((3,), math.nan)), 3)

    assert found.mean.status == "nonfinite"
    assert found.nonfinite_fraction.value == 1
