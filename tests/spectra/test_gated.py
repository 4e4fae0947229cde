import pytest
import torch.nn.functional as F
from torch import nn

from tests.spectra.checks import assert_dense, normal


@pytest.mark.parametrize("shape", [(2, 4), (3, 5, 6), (1, 2), (2, 2, 2, 8), (10, 20)])
def test_gated_linear_unit_matches_dense(shape):
    assert_dense(nn.GLU(), normal(*shape))
    assert_dense(F.glu, 3 * normal(*shape), dim=-1)


class SwiGLU(nn.Module):
    """A gate written by hand, as one layer without parts."""

    def forward(self, x):
        a, b = x.chunk(2, -1)
        return F.silu(a) * b


class GEGLU(nn.Module):
    """As above, with another gate."""

    def forward(self, x):
        a, b = x.chunk(2, -1)
        return a * F.gelu(b)


@pytest.mark.parametrize("layer", [SwiGLU(), GEGLU()])
@pytest.mark.parametrize("shape", [(2, 4), (3, 5, 6), (1, 2), (2, 2, 2, 8), (10, 20)])
def test_hand_written_gate_matches_dense(layer, shape):
    assert_dense(layer, normal(*shape))
