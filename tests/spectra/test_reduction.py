import pytest
import torch
from torch import Tensor

from tests.spectra.checks import assert_dense, normal

CALLS = [
    (torch.mean, {"dim": 1}),
    (torch.sum, {"dim": (0, 2)}),
    (torch.mean, {}),
    (torch.max, {"dim": 1}),
    (torch.topk, {"k": 2}),
    (torch.sort, {}),
    (Tensor.amax, {"dim": 1}),
    (torch.logsumexp, {"dim": 1}),
    (torch.var, {"dim": 1}),
    (torch.cumsum, {"dim": 1}),
]


@pytest.mark.parametrize(("function", "options"), CALLS)
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 5, 2), (3, 2, 2), (2, 7, 1), (4, 2, 6)])
def test_reduction_matches_dense(function, options, shape):
    if function is torch.topk and shape[-1] < 2:
        options = {"k": 1}
    assert_dense(function, normal(*shape), **options)
