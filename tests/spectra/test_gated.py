import pytest
import torch.nn.functional as F
from torch import nn

from tests.spectra.checks import assert_dense, normal


@pytest.mark.parametrize("shape", [(2, 4), (3, 5, 6), (1, 2), (2, 2, 2, 8), (10, 20)])
def test_gated_linear_unit_matches_dense(shape):
    assert_dense(nn.GLU(), normal(*shape))
    assert_dense(F.glu, 3 * normal(*shape), dim=-1)
