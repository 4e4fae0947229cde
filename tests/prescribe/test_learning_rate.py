"""The recommended rate trains, and ten times the largest stable one does not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.prescribe._budget import Plan
from gradscope.prescribe._contest import Arena, Entrant
from gradscope.prescribe._rehearsal import Rehearsal
from gradscope.prescribe._task import learning_task
from gradscope.prescribe._training import ADAM, MOMENTUM, Method, final
from gradscope.prescribe.learning_rate import learning_rate
from tests.prescribe.cases import seeded
from tests.prescribe.sick import batches, tower
from tests.subjects import subject


def rehearsal(model: nn.Module, method: Method, steps: int = 60) -> Rehearsal:
    inputs, targets = next(batches()(0))
    one = subject(model, inputs, loss=F.cross_entropy, targets=targets, classes=10, batches=batches())
    arena = Arena(learning_task(one), Plan(steps, 2, 6, 1, False), 0)
    return Rehearsal(
        arena, Entrant(lambda seed: seeded(lambda: tower(3, nn.Tanh, gain=1.2))), method, "float32", "cpu", 0.1
    )


@pytest.mark.parametrize("method", [ADAM, MOMENTUM], ids=lambda method: method.name)
def test_the_recommended_rate_trains_and_the_edge_is_an_edge(method: Method) -> None:
    one = rehearsal(nn.Linear(64, 10), method)
    found = learning_rate(one)
    print(found)
    assert final(one.losses(found["value"])) < 1.0
    beyond = one.losses(16 * found["largest_stable"])
    assert max(beyond) > 1.5 * beyond[0]


def test_a_model_that_cannot_be_trained_gets_none() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) * math.nan

    one = rehearsal(Broken(), ADAM)
    assert learning_rate(replace(one, entrant=Entrant(lambda seed: Broken()))) == {}
