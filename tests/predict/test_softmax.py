"""Softmax against many draws."""

from tests.predict.checks import Between, agree
from tests.subjects import random


def test_small_logits_give_uniform_weights() -> None:
    agree(lambda: Between(lambda h: (0.1 * h).softmax(-1)), random(32, 64))


def test_logits_of_unit_size() -> None:
    agree(lambda: Between(lambda h: (3**0.5 * h).softmax(-1)), random(32, 64), bits=0.2)
