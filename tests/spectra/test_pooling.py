import pytest
import torch.nn.functional as F
from torch import nn

from tests.spectra.checks import assert_dense, normal

LAYERS = [
    nn.MaxPool2d(3, 2, 1),
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, 1, 1, dilation=1),
    nn.MaxPool2d(2, 2, dilation=2),
    nn.MaxPool2d(3, 2, ceil_mode=True),
    nn.AvgPool2d(3, 2, 1),
    nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AvgPool2d((2, 3), ceil_mode=True),
    nn.AvgPool2d(3, 2, 1, divisor_override=5),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((3, 4)),
    nn.AdaptiveMaxPool2d((3, 4)),
    nn.LPPool2d(2, 2),
]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("size", [(1, 2, 6, 6), (2, 1, 7, 5), (1, 1, 9, 8), (1, 3, 5, 5), (2, 2, 8, 8)])
def test_pooling_matches_dense(layer, size):
    assert_dense(layer, normal(*size))


@pytest.mark.parametrize("size", [(1, 2, 8), (2, 1, 7), (1, 3, 9), (2, 2, 10), (1, 1, 12)])
def test_pooling_in_other_dimensions_matches_dense(size):
    assert_dense(nn.MaxPool1d(3, 1), normal(*size))
    assert_dense(nn.AvgPool1d(3, 2, 1), normal(*size))
    assert_dense(nn.AdaptiveAvgPool1d(3), normal(*size))
    assert_dense(nn.AdaptiveMaxPool1d(3), normal(*size))
    assert_dense(nn.AdaptiveMaxPool3d((2, 2, 1)), normal(*size, 3, 3))
    assert_dense(nn.AdaptiveAvgPool3d((2, 1, 2)), normal(*size, 3, 3))
    assert_dense(nn.LPPool1d(2, 3), normal(*size))
    assert_dense(nn.MaxPool3d(2, 1), normal(*size, 3, 3))
    assert_dense(nn.AvgPool3d(2, 1), normal(*size, 3, 3))
    assert_dense(F.max_pool1d, normal(*size), 3, stride=2)
    assert_dense(F.avg_pool1d, normal(*size), 3, stride=2)
