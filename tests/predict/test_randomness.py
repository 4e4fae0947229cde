"""Dropout against many draws."""

from torch import nn

from tests.predict.checks import agree
from tests.subjects import random


def test_dropout_scales_the_second_moment() -> None:
    agree(lambda: nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5), nn.Linear(64, 64)), random(64, 64))
