import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.spectra.checks import assert_dense, normal

SHAPES = [(1, 4), (5, 1), (3, 2), (2, 3, 7), (2, 2, 4, 5), (100, 3)]


@pytest.mark.parametrize("layer", [nn.Softmax(-1), nn.Softmin(-1), nn.LogSoftmax(-1), nn.Softmax(1)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.1, 3])
def test_softmax_matches_dense(layer, shape, scale):
    assert_dense(layer, scale * normal(*shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_functional_softmax_matches_dense(shape):
    assert_dense(torch.softmax, normal(*shape), dim=0)
    assert_dense(F.log_softmax, normal(*shape), -1)


def test_uniform_and_one_hot_rows_match_dense():
    assert_dense(torch.softmax, torch.zeros(3, 6), -1)
    assert_dense(torch.softmax, 1e4 * torch.eye(4), -1)


def test_two_dimensional_softmax_is_over_channels():
    assert_dense(nn.Softmax2d(), normal(2, 3, 4, 4))
