"""Distributions of tensors that are known."""

import torch

from gradscope.predict._distribution import of_value

PAST_FLOAT32 = 2**24 + 4  # elements, whose last index is no float32


def test_the_entries_of_a_large_tensor_reach_from_its_first_to_its_last() -> None:
    quantiles = of_value(torch.arange(PAST_FLOAT32)).quantiles
    assert (quantiles[0], quantiles[-1]) == (0, PAST_FLOAT32 - 1)
