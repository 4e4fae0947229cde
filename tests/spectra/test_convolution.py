import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.spectra import convolution, layer_spectrum
from gradscope.spectra.convolution import _geometry, operator
from tests.reference import call_of, dense_spectrum
from tests.spectra.checks import assert_dense, assert_estimate, drawn, normal, sweep_of

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
    (nn.ConvTranspose1d, (3, 4, 2), {"dilation": 3, "output_padding": 2}, (1, 3, 5)),
    (nn.ConvTranspose2d, (2, 3, 3), {"dilation": 2, "output_padding": 1, "padding": 1}, (1, 2, 4, 4)),
    (nn.ConvTranspose3d, (2, 2, 3), {"stride": 2}, (1, 2, 3, 3, 2)),
]


@pytest.mark.parametrize(("layer", "channels", "options", "shape"), CASES)
def test_convolution_matches_dense(layer, channels, options, shape):
    assert_dense(drawn(layer(*channels, **options)), normal(*shape))


KINDS = {
    "plain": {},
    "strided": {"stride": 2, "padding": 1},
    "dilated": {"dilation": 2, "padding": 1},
    "grouped": {"groups": 2, "padding": 1},
    "depthwise": {"groups": 4, "padding": 1},
}
SIZES = {1: [(5,), (6,), (7,), (9,), (12,)], 2: [(5, 5), (5, 6), (6, 5), (7, 5), (6, 6)], 3: [(5, 5, 5), (5, 6, 5)]}
LAYERS = {
    1: (nn.Conv1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.ConvTranspose2d),
    3: (nn.Conv3d, nn.ConvTranspose3d),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [size for sizes in SIZES.values() for size in sizes], ids=str)
def test_every_kind_in_every_dimension_matches_dense(kind, transposed, size):
    size = tuple(n - 2 for n in size) if transposed else size  # the output is the larger side
    layer = LAYERS[len(size)][transposed](4, 4, 3, **KINDS[kind])
    assert_dense(drawn(layer), normal(1, 4, *size))


@pytest.mark.parametrize("size", [(5, 6), (7, 7), (9, 5), (4, 11), (8, 8)])
def test_one_image_without_a_batch_matches_dense(size):
    assert_dense(drawn(nn.Conv2d(2, 3, 3, stride=2, padding=1)), normal(2, *size))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [(1, 1, 1), (2, 0, 1), (3, 2, 1), (1, 2, 2), ((1, 2), 1, 2)]
)
def test_packed_weights_give_the_same_operator_and_its_adjoint(monkeypatch, groups, stride, padding, dilation):
    weight, size = normal(8, 4 // groups, 3, 3), (9, 10)
    shape = _geometry(size, weight, stride, padding, dilation, groups)
    packed = operator(weight, shape)
    monkeypatch.setattr(convolution, "is_available", lambda _: False)
    plain = operator(weight, shape)
    v = normal(1, 4, *size, seed=1)
    u = plain[0](v)
    torch.testing.assert_close(packed[0](v), u, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(packed[1](u), plain[1](u), rtol=1e-4, atol=1e-4)


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


@pytest.mark.parametrize(
    "options", [{}, {"padding": 2, "groups": 2}, {"padding": "same", "dilation": 3}, {"stride": 2}]
)
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_small_images_are_solved_exactly(options, kernel):
    result = assert_dense(drawn(nn.Conv2d(4, 6, kernel, **options)), normal(2, 4, 5, 4))
    assert result.spectral_norm.low == result.spectral_norm.high


@pytest.mark.parametrize("layer", [nn.Conv1d(2, 3, 2, dtype=torch.cfloat), nn.Linear(6, 3, dtype=torch.cfloat)])
def test_complex_weights_match_pairs_of_reals(layer):
    x = torch.complex(normal(2, 2, 6), normal(2, 2, 6, seed=1))
    twin = copy.deepcopy(layer).to(torch.cdouble)
    truth = dense_spectrum(lambda z: torch.view_as_real(twin(torch.view_as_complex(z))), torch.view_as_real(x))
    found = layer_spectrum(call_of(layer, x), sweep_of())
    assert_estimate(found.spectral_norm, truth.spectral_norm)
