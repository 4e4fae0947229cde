"""Xavier initialization splits the difference between fan_in and fan_out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.prescribe.cases import case, changes, cured


def test_the_variance_is_two_over_the_sum_of_the_fans() -> None:
    model = nn.Sequential(nn.Linear(600, 200), nn.ReLU(), nn.Linear(200, 400), nn.ReLU(), nn.Linear(400, 100))
    done = cured("xavier-initialization", case(model, torch.randn(2, 600)))
    stds = [float(done[i].weight.detach().std()) for i in (0, 2, 4)]
    assert stds == pytest.approx([math.sqrt(2 / 800), math.sqrt(2) * math.sqrt(2 / 600), math.sqrt(2 / 500)], rel=0.02)


def test_it_is_not_proposed_where_it_is_he_initialization() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    assert changes("xavier-initialization", case(model, torch.randn(2, 8))) == []
