import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.spectra import layer_spectrum
from tests.reference import call_of
from tests.spectra.checks import assert_dense, assert_estimate, drawn, normal, sweep_of, twin_of

SHAPES = [(2, 4), (3, 4, 5), (2, 4, 3, 3), (5, 4, 2), (4, 4, 1, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_matches_dense(shape, training):
    layer = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)](4)
    drawn(layer)
    layer.running_var.copy_(normal(4, seed=3).square() + 0.1)
    layer.train(training)
    before = layer.running_mean.clone()
    result = assert_dense(layer, 2 * normal(*shape))
    assert ("whole batch" in result.spectral_norm.method) == training
    layer.running_mean.copy_(before)


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("shape", [(3, 2), (2, 7), (2, 3, 20), (30, 8), (2, 4, 6)])
def test_row_normalization_matches_dense(shape, weight):
    for layer in (nn.LayerNorm(shape[-1]), nn.RMSNorm(shape[-1], eps=1e-3)):
        x = normal(*shape) * torch.linspace(0.5, 2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        assert_dense(drawn(layer) if weight else layer, x)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_group_norm_matches_dense(shape, groups):
    assert_dense(drawn(nn.GroupNorm(groups, 4)), normal(*shape))
    assert_dense(nn.GroupNorm(groups, 4), normal(*shape))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 3, 3), (1, 4, 6), (3, 4, 2, 2), (2, 4, 2, 2, 2)])
def test_instance_norm_matches_dense(shape, affine):
    layer = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}[len(shape)](4, affine=affine)
    assert_dense(drawn(layer), normal(*shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_functional_normalization_matches_dense(shape):
    assert_dense(F.layer_norm, normal(*shape), shape[-2:])
    assert_dense(F.normalize, normal(*shape), dim=-1)
    assert_dense(F.normalize, normal(*shape), p=1.0, dim=1)
    assert_dense(F.local_response_norm, normal(2, 4, 5), 2)


def test_constant_rows_match_dense():
    assert_dense(nn.LayerNorm(6), torch.ones(2, 6))
    assert_dense(drawn(nn.LayerNorm(6)), torch.ones(2, 6))


class Root(nn.Module):
    """A hand-written RMS norm."""

    def __init__(self, n):
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.ones(n)), 1e-6

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.variance_epsilon)


@pytest.mark.parametrize("shape", [(3, 8), (2, 5, 40), (1, 1, 33), (7, 50), (2, 2, 3, 36)])
def test_hand_written_rms_norm_matches_dense(shape):
    assert_dense(drawn(Root(shape[-1])), normal(*shape))
    assert_dense(Root(shape[-1]), normal(*shape))


@pytest.mark.parametrize("shape", [(2, 4, 2, 2, 2), (3, 4, 1, 2, 2), (2, 4, 3, 1, 1), (1, 4, 2, 3, 2), (2, 4, 1, 1, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_volumes_matches_dense(shape, training):
    assert_dense(drawn(nn.BatchNorm3d(4)).train(training), 2 * normal(*shape))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_stored_statistics_of_instance_norm_match_dense(shape):
    layer = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d}[len(shape)](4, affine=True, track_running_stats=True)
    drawn(layer).running_var.copy_(normal(4, seed=3).square() + 0.1)
    assert_dense(layer.eval(), normal(*shape))


@pytest.mark.parametrize("shape", [(2, 5), (3, 4, 5), (1, 6), (4, 2, 2, 3), (7, 3)])
def test_weight_normalization_matches_dense(shape):
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(shape[-1], 4))
    assert_dense(layer, normal(*shape))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_local_response_normalization_matches_dense(shape):
    assert_dense(nn.LocalResponseNorm(2), normal(*shape))


@pytest.mark.parametrize("affine", [True, False])
def test_what_little_a_group_of_one_or_two_passes_matches_dense(affine):
    for groups in (2, 4):  # of two channels, and of one
        assert_dense(drawn(nn.GroupNorm(groups, 4, affine=affine)), 1e-3 * normal(5, 4))
    for n in (1, 2):
        assert_dense(drawn(nn.LayerNorm(n, elementwise_affine=affine)), 1e-3 * normal(5, n))
        assert_dense(drawn(nn.RMSNorm(n, eps=1e-3, elementwise_affine=affine)), 1e-2 * normal(5, n))


class Lookalike(nn.Module):
    """Its output is that of a normalization, or nearly so; its gradient is another one's."""

    def __init__(self, n, *, is_centered=False, is_detached=False, shift=0.0):
        super().__init__()
        self.weight, self.bias = nn.Parameter(normal(n, seed=1)), nn.Parameter(torch.full((n,), shift))
        self.eps, self.is_centered, self.is_detached = 1e-6, is_centered, is_detached

    def forward(self, x):
        x = x - x.mean(-1, keepdim=True) if self.is_centered else x
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)
        return x * (scale.detach() if self.is_detached else scale) * self.weight + self.bias


@pytest.mark.parametrize("n", [3, 8, 40])
def test_a_normalization_is_known_by_its_gradient(n):
    x = normal(4, n)
    centered = x - x.mean(-1, keepdim=True)
    assert_dense(Lookalike(n, is_centered=True), centered)
    assert_dense(Lookalike(n), centered)
    assert_dense(Lookalike(n, is_detached=True), x)
    assert_dense(Lookalike(n, is_centered=True, shift=1e5), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gains_are_widened_before_they_are_used(dtype):
    x = normal(4, 4).to(dtype)
    for layer in (nn.GroupNorm(2, 4), nn.BatchNorm1d(4).eval(), nn.LayerNorm(4), Root(4)):
        half = drawn(layer).to(dtype)
        found = layer_spectrum(call_of(half, x), sweep_of())
        twin = twin_of(copy.deepcopy(half).double(), x.double())
        assert_estimate(found.spectral_norm, twin.spectral_norm)
        assert_estimate(found.rms_gain, twin.rms_gain)
