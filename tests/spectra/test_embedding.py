import pytest
import torch
from torch import nn

from gradscope.spectra import layer_spectrum
from tests.reference import call_of
from tests.spectra.checks import normal, sweep_of

IDS = torch.tensor([[0, 2, 1], [3, 3, 0]])
SOURCES = [
    (nn.Embedding(5, 4), (IDS,)),
    (nn.EmbeddingBag(5, 4), (IDS,)),
    (torch.argmax, (normal(3, 4),)),
    (torch.zeros_like, (normal(3, 4),)),
    (torch.gt, (normal(3, 4), 0)),
    (torch.nn.functional.one_hot, (IDS,)),
]


@pytest.mark.parametrize(("layer", "args"), SOURCES, ids=lambda value: getattr(value, "__name__", None))
def test_a_source_has_no_jacobian_and_is_no_gap(layer, args):
    result = layer_spectrum(call_of(layer, *args), sweep_of())
    assert result.spectral_norm is None and result.rms_gain is None and result.gap is None
