"""Rank collapse over the positions of a sequence."""

import pytest
import torch

from gradscope.measure._quantity import Observation
from gradscope.measure.token_cosine import token_cosine
from tests.measure.test_sample_cosine import slow
from tests.subjects import random


def test_mean_over_samples_of_the_loop_over_positions() -> None:
    x = random(3, 5, 7).double() + 0.5
    found = token_cosine(Observation("Linear", x, batch=3))

    assert found is not None
    assert found.item() == pytest.approx(sum(slow(sample) for sample in x) / 3, abs=1e-9)


def test_uniform_attention_collapses_tokens() -> None:
    values = random(2, 8, 16)
    mixed = torch.full((8, 8), 1 / 8) @ values
    found = token_cosine(Observation("matmul", mixed, batch=2))

    assert found is not None
    assert found.item() == pytest.approx(1, abs=1e-5)


def test_not_applicable_to_vectors_and_maps() -> None:
    assert token_cosine(Observation("Linear", random(3, 5), batch=3)) is None
    assert token_cosine(Observation("Conv2d", random(3, 5, 7, 7), batch=3)) is None
