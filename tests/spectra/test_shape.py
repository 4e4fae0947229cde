import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.spectra.checks import assert_dense, normal

X = normal(2, 3, 4)
CALLS = [
    (Tensor.view, (X, 6, 4)),
    (Tensor.permute, (X, 2, 0, 1)),
    (torch.transpose, (X, 0, 1)),
    (torch.flatten, (X, 1)),
    (Tensor.contiguous, (X,)),
    (Tensor.chunk, (X, 2, -1)),
    (torch.split, (X, 1, 1)),
    (Tensor.unbind, (X, 0)),
    (Tensor.__getitem__, (X, 0)),
    (Tensor.__getitem__, (X, (slice(None), slice(0, 2)))),
    (Tensor.__getitem__, (X, (..., -1))),
    (Tensor.__getitem__, (X, torch.tensor([0, 1, 1, 1]))),
    (Tensor.__getitem__, (X, (slice(None), [0, 0, 2]))),
    (Tensor.__getitem__, (X, X > 0)),
    (torch.roll, (X, 1, 0)),
    (Tensor.expand, (X[:1], 5, 3, 4)),
    (Tensor.repeat, (X, 2, 1, 3)),
    (torch.repeat_interleave, (X, torch.tensor([1, 3, 0]), 1)),
    (torch.cat, ([X, normal(1, 3, 4, seed=1)], 0)),
    (torch.cat, ([X, X], 1)),
    (torch.stack, ((X, normal(2, 3, 4, seed=1)),)),
    (torch.index_select, (X, 1, torch.tensor([0, 0, 2]))),
    (torch.gather, (X, 0, torch.zeros(2, 3, 4, dtype=torch.long))),
    (torch.tril, (X,)),
    (F.pad, (X, (1, 2))),
    (F.pad, (X, (1, 2), "reflect")),
    (F.unfold, (normal(1, 2, 5, 5), 3)),
    (F.pixel_shuffle, (normal(1, 4, 3, 3), 2)),
    (torch.masked_select, (X, X > 0)),
    (nn.Flatten(), (X,)),
    (nn.Identity(), (X,)),
    (nn.ReflectionPad1d(2), (X,)),
]


@pytest.mark.parametrize(("layer", "args"), CALLS, ids=lambda value: getattr(value, "__name__", None))
def test_copies_match_dense(layer, args):
    assert_dense(layer, *args)


def test_what_autograd_ignores_passes_nothing():
    from gradscope.spectra import layer_spectrum
    from tests.reference import call_of
    from tests.spectra.checks import sweep_of

    result = layer_spectrum(call_of(Tensor.detach, X), sweep_of())
    assert result.spectral_norm.value == 0 and "stopped" in result.spectral_norm.method
