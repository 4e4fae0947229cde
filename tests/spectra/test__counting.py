"""Entries that are not zero are counted exactly, whatever their dtype, size and layout."""

import pytest
import torch

from gradscope.spectra import nonzeros


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (7,), (1 << 18,), ((1 << 19) + 3,), (5, 3, 4)])
def test_the_count_is_exact(shape, dtype):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu().to(dtype)
    assert nonzeros(x).item() == torch.count_nonzero(x).item()


def test_tiny_values_and_strides_count():
    x = torch.tensor([[0.0, -0.0, 1e-45], [-1e-38, 3e38, 0.0]]).T
    assert nonzeros(x).item() == 3
