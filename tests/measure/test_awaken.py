"""Heads that start at zero are measured awake and left asleep."""

import torch
from torch import nn

from gradscope import capture, measure
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.measure._awaken import sleeping
from tests.subjects import classified, classifier, random, subject


def test_gradients_behind_a_zero_head_are_measured() -> None:
    model = classifier(3, nn.ReLU)
    nn.init.zeros_(model[-1].weight)
    version = model[-1].weight._version
    examined = classified(model)
    with borrowed(model, training=True, seed=0):
        _, found = measure.profile(examined, capture.graph, Config())

    first = found.layers[1].gradient
    assert first is not None and first.second_moment.value > 0
    assert [gap.layer for gap in found.gaps] == ["6.weight"]
    assert not model[-1].weight.any()
    assert model[-1].weight._version == version


def test_the_first_loss_is_that_of_the_sleeping_head() -> None:
    model = classifier(3, nn.ReLU)
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    examined = classified(model)
    with borrowed(model, training=True, seed=0):
        _, found = measure.profile(examined, capture.graph, Config())

    assert abs(found.network["initial_loss"].value - found.network["expected_loss"].value) < 1e-6
    assert found.network["output_variation"].value == 0


def test_a_zero_branch_beside_an_identity_is_let_sleep() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Linear(8, 8)
            nn.init.zeros_(self.branch.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.branch(x)

    model = Residual()
    with borrowed(model, training=True, seed=0):
        graph, _ = capture.graph(subject(model, random(4, 8)))

    assert sleeping(graph, model) == ()
