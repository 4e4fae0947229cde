import copy
import math
import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import activations

from gradscope.spectra import elementwise, layer_spectrum
from gradscope.spectra.elementwise import TRANSFORMERS
from tests.reference import call_of, dense_spectrum
from tests.spectra.checks import assert_dense, assert_estimate, normal, sweep_of, twin_of

SHAPES = [(1,), (2, 3), (4, 5, 2), (1, 2, 3, 4), (30, 4)]
ARGUMENTS = {"Threshold": (0.1, 2.0)}
OTHERS = {
    "GLU",
    "Softmax",
    "Softmin",
    "Softmax2d",
    "LogSoftmax",
    "MultiheadAttention",
    "RReLU",
}  # have tests of their own
ACTIVATIONS = sorted(set(nn.modules.activation.__all__) - OTHERS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_random_slopes_are_those_of_the_call(shape, training):
    call = call_of(nn.RReLU(0.5, 2.0).train(training), normal(*shape))
    slopes = (call.output / call.args[0]).double()
    found = layer_spectrum(call, sweep_of())
    assert found.spectral_norm.value == pytest.approx(slopes.max().item(), rel=1e-5)
    assert found.rms_gain.value == pytest.approx(slopes.square().mean().sqrt().item(), rel=1e-5)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_activations_of_transformers_match_dense(name):
    layer = getattr(activations, name, None)
    if layer is None:  # an older or newer release
        return
    arguments = {"ClippedGELUActivation": (-1, 1)}.get(name, ())
    assert_dense(layer(*arguments), normal(4, 6))


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


@pytest.mark.parametrize("layer", [nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.Tanhshrink(), nn.Softsign()])
@pytest.mark.parametrize("point", [-9.0, 9.0, 1e-4])
def test_derivatives_that_are_small_differences_keep_their_digits(layer, point):
    result, twin = layer_spectrum(call_of(layer, point + 0.1 * normal(3, 4)), sweep_of()), copy.deepcopy(layer)
    (truth,) = torch.autograd.grad(twin(x := (point + 0.1 * normal(3, 4)).double().requires_grad_()).sum(), x)
    assert result.spectral_norm.value == pytest.approx(truth.abs().max().item(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_slopes_are_not_read_off_rounded_outputs(dtype):
    for layer in (nn.Tanh(), nn.Sigmoid()):
        x = (2.5 + 0.1 * normal(3, 4)).to(dtype)
        found = layer_spectrum(call_of(layer, x), sweep_of())
        assert_estimate(found.spectral_norm, twin_of(layer, x.double()).spectral_norm)


def test_a_random_slope_at_zero_is_an_interval():
    x = torch.tensor([0.0, -1.0, 0.0])
    found = layer_spectrum(call_of(nn.RReLU(0.5, 2.0), x), sweep_of()).spectral_norm
    assert found.low <= found.value <= found.high == 2.0 and found.low >= 0.5
    assert_dense(nn.RReLU(0.5, 2.0).eval(), torch.tensor([0.0, -1.0, 0.0]))


def test_what_a_mask_rules_out_has_a_derivative():
    scores = normal(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), -math.inf)
    for function, arguments in ((torch.exp, ()), (torch.amax, (-1,)), (torch.masked_fill, (scores > 1, -math.inf))):
        found = layer_spectrum(call_of(function, scores, *arguments), sweep_of())
        twin = dense_spectrum(lambda x, f=function, a=arguments: f(x, *a), scores)
        assert_estimate(found.spectral_norm, twin.spectral_norm)


@pytest.mark.parametrize(
    "function", [nn.GELU(), nn.PReLU(3), F.silu, nn.Softplus(beta=3.0), torch.square, torch.addcmul]
)
def test_large_tensors_are_differentiated_in_pieces(function, monkeypatch):
    monkeypatch.setattr(elementwise, "_PIECE", 7)
    inputs = [normal(2, 3, 5, seed=i) for i in range(3 if function is torch.addcmul else 1)]
    assert_dense(function, *inputs)
    if len(inputs) == 1 and not isinstance(function, nn.PReLU):
        assert_dense(function, normal(4, 3, 2, 5).to(memory_format=torch.channels_last))
