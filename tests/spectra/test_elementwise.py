import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.spectra.elementwise import MODULES
from tests.spectra.checks import assert_dense, normal

SHAPES = [(1,), (2, 3), (4, 5, 2), (1, 2, 3, 4), (30, 4)]
ARGUMENTS = {"Threshold": (0.1, 2.0)}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [*MODULES, "ReLU", "ReLU6"])
def test_activation_matches_dense(name, shape):
    assert_dense(getattr(nn, name)(*ARGUMENTS.get(name, ())), 2 * normal(*shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("function", [F.gelu, F.silu, F.relu, F.mish, F.softplus, torch.tanh, torch.exp, torch.sin])
def test_functional_activation_matches_dense(function, shape):
    assert_dense(function, normal(*shape))


@pytest.mark.parametrize("layer", [nn.ReLU(inplace=True), nn.SiLU(inplace=True), nn.LeakyReLU(0.2, inplace=True)])
def test_in_place_activation_leaves_its_input_alone(layer):
    x = normal(3, 4)
    before = x.clone()
    assert_dense(layer, x)
    assert torch.equal(x, before) and x._version == 0


@pytest.mark.parametrize("function", [torch.mul, torch.div, torch.maximum, torch.atan2])
@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 3, 4), (2, 3, 1)), ((2, 1, 4), (2, 3, 4)), ((5,), (5,)), ((2, 3), ())],
)
def test_binary_function_matches_dense(function, a, b):
    assert_dense(function, normal(*a), normal(*b, seed=1).abs() + 0.5)


def test_a_tensor_times_itself_is_one_input():
    x = normal(3, 4)
    assert_dense(torch.mul, x, x)


def test_both_operands_broadcast_goes_the_generic_way():
    result = assert_dense(torch.mul, normal(6, 1), normal(1, 7, seed=1))
    assert "exact" not in result.spectral_norm.method


class Swish(nn.Module):
    """A hand-written activation without a rule."""

    def forward(self, x):
        return x * torch.sigmoid(1.5 * x)


@pytest.mark.parametrize("shape", SHAPES)
def test_hand_written_activation_is_recognised(shape):
    assert assert_dense(Swish(), normal(*shape)).spectral_norm.method == "exact"


@pytest.mark.parametrize("function", [operator.truediv, torch.pow])
def test_function_of_a_number_matches_dense(function):
    assert_dense(function, normal(3, 4).abs() + 0.1, 2.0)
