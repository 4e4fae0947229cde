import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.spectra.checks import assert_dense, drawn, normal

CASES = [
    (nn.Conv1d, (3, 5, 3), {}, (2, 3, 11)),
    (nn.Conv1d, (4, 4, 4), {"stride": 2, "padding": 1, "groups": 4}, (1, 4, 12)),
    (nn.Conv1d, (2, 3, 4), {"padding": "same", "dilation": 3}, (1, 2, 14)),
    (nn.Conv2d, (3, 4, 3), {"padding": 1}, (2, 3, 8, 8)),
    (nn.Conv2d, (3, 5, 3), {"stride": 2, "padding": 1}, (1, 3, 9, 7)),
    (nn.Conv2d, (4, 6, 3), {"padding": 2, "dilation": 2, "groups": 2}, (1, 4, 7, 7)),
    (nn.Conv2d, (6, 6, 3), {"padding": 1, "groups": 6}, (1, 6, 7, 7)),
    (nn.Conv2d, (3, 8, 4), {"stride": 4}, (1, 3, 9, 8)),
    (nn.Conv2d, (6, 4, 1), {"stride": 2, "groups": 2}, (1, 6, 5, 5)),
    (nn.Conv2d, (2, 2, (2, 3)), {"padding": "same"}, (1, 2, 6, 5)),
    (nn.Conv2d, (3, 4, 3), {"padding": 1, "padding_mode": "circular"}, (1, 3, 6, 6)),
    (nn.Conv2d, (3, 4, 3), {"padding": 1, "padding_mode": "reflect"}, (1, 3, 6, 6)),
    (nn.Conv3d, (2, 3, 3), {"padding": 1}, (1, 2, 4, 5, 4)),
    (nn.Conv3d, (2, 2, 2), {"stride": (1, 2, 1)}, (1, 2, 3, 4, 5)),
    (nn.ConvTranspose1d, (3, 4, 4), {"stride": 2, "padding": 1}, (2, 3, 7)),
    (nn.ConvTranspose2d, (3, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1}, (1, 3, 5, 5)),
    (nn.ConvTranspose2d, (4, 6, 3), {"groups": 2, "dilation": 2}, (1, 4, 5, 4)),
    (nn.ConvTranspose2d, (4, 2, 2), {"stride": 2}, (1, 4, 5, 4)),
    (nn.ConvTranspose3d, (2, 2, 3), {"stride": 2}, (1, 2, 3, 3, 2)),
]


@pytest.mark.parametrize(("layer", "channels", "options", "shape"), CASES)
def test_convolution_matches_dense(layer, channels, options, shape):
    assert_dense(drawn(layer(*channels, **options)), normal(*shape))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [6, 9, 10])
def test_functional_convolution_matches_dense(stride, size):
    weight = nn.Parameter(normal(4, 3, 3, 3, seed=1))
    assert_dense(F.conv2d, normal(1, 3, size, size), weight, None, stride, 1)
    assert_dense(F.conv_transpose2d, normal(1, 4, 4, 5), weight, stride=stride, padding=1)


def test_delta_orthogonal_convolution_has_norm_one():
    layer = nn.Conv2d(8, 8, 3, padding=1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, :, 1, 1] = torch.linalg.qr(normal(8, 8))[0]
    result = assert_dense(layer, normal(1, 8, 6, 6))
    assert result.spectral_norm.value == pytest.approx(1, abs=1e-4)
    assert result.rms_gain.value == pytest.approx(1, abs=1e-6)
