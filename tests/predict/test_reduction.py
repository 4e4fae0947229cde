"""Means and sums against many draws."""

from tests.predict.checks import Between, agree
from tests.subjects import random


def test_a_mean_over_positions() -> None:
    agree(lambda: Between(lambda h: h.mean(1)), random(16, 8, 64))


def test_a_sum_over_positions() -> None:
    agree(lambda: Between(lambda h: h.sum(1)), random(16, 8, 64))
