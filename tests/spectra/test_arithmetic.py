import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from gradscope.spectra import layer_spectrum
from tests.reference import call_of
from tests.spectra.checks import assert_dense, normal, sweep_of

PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 3, 4), (2, 3, 1)), ((4,), (3, 4)), ((2, 1, 4), (2, 3, 4))]


@pytest.mark.parametrize("function", [torch.add, torch.sub])
@pytest.mark.parametrize("alpha", [1, -2.5])
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_sum_matches_dense(function, alpha, a, b):
    assert_dense(function, normal(*a), normal(*b, seed=1), alpha=alpha)


@pytest.mark.parametrize("function", [torch.add, torch.sub, torch.mul, torch.div, torch.Tensor.__rsub__])
def test_operation_with_a_number_matches_dense(function):
    assert_dense(function, normal(3, 4), 2.5)


def test_a_tensor_added_to_itself_doubles():
    x = normal(3, 4)
    assert assert_dense(torch.add, x, x).spectral_norm.value == 2
    assert assert_dense(torch.sub, x, x).spectral_norm.value == 0


def test_residual_sum_is_root_two_and_a_bias_is_no_input():
    x = normal(3, 4)
    assert assert_dense(torch.add, x, normal(3, 4, seed=1)).spectral_norm.value == pytest.approx(math.sqrt(2))
    assert assert_dense(torch.add, x, nn.Parameter(normal(4))).spectral_norm.value == 1


def test_what_does_not_depend_on_the_model_input_is_no_input():
    table, x = nn.Parameter(normal(10, 4)), normal(3, 4)
    assert layer_spectrum(call_of(torch.add, x, table[:3]), sweep_of()).spectral_norm.value == 1
    computed = table[torch.tensor([0, 1, 2])] * 2
    call = replace(call_of(torch.add, x, computed), constants=(computed,))
    assert layer_spectrum(call, sweep_of()).spectral_norm.value == 1
