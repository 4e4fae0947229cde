import pytest
import torch.nn.functional as F
from torch import nn

from tests.spectra.checks import assert_dense, normal

LAYERS = [
    nn.Upsample(scale_factor=2),
    nn.Upsample(scale_factor=2, mode="bilinear"),
    nn.Upsample(size=(7, 9), mode="bilinear", align_corners=True),
    nn.Upsample(scale_factor=1.5, mode="bicubic"),
    nn.UpsamplingNearest2d(size=(5, 6)),
]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shape", [(1, 2, 4, 4), (2, 1, 3, 5), (1, 1, 6, 2), (2, 2, 3, 3), (1, 3, 4, 5)])
def test_upsampling_matches_dense(layer, shape):
    assert_dense(layer, normal(*shape))


def test_functional_interpolation_matches_dense():
    assert_dense(F.interpolate, normal(1, 2, 6), scale_factor=1.5, mode="linear")
    assert_dense(F.interpolate, normal(1, 1, 4, 4), 7, None, "bilinear")
    assert_dense(F.interpolate, normal(1, 1, 8, 8), size=(3, 4), mode="bilinear", antialias=True)
    assert_dense(F.interpolate, normal(1, 1, 3, 3, 3), scale_factor=2, mode="trilinear")
    assert_dense(F.interpolate, normal(1, 1, 8, 8), scale_factor=0.7, mode="bilinear", recompute_scale_factor=True)
