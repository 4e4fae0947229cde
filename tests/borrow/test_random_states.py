"""A draw from any generator that a model can reach shows in the states; a run without one does not."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscope.borrow import random_states, seeded


class Drawing(nn.Module):
    def __init__(self, draw) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.generators = ()
        self.torch_generator = torch.Generator()
        self.python_generator = random.Random(0)
        self.numpy_generator = np.random.default_rng(0)
        self.draw = draw

    def forward(self, x: Tensor) -> Tensor:
        self.draw(self)
        return self.layer(x)


DRAWS = {
    "dropout": lambda self: F.dropout(torch.ones(4)),
    "torch": lambda self: torch.randn(1),
    "python": lambda self: random.random(),
    "numpy": lambda self: np.random.rand(),
    "a torch generator of its own": lambda self: torch.randn(1, generator=self.torch_generator),
    "a python generator of its own": lambda self: self.python_generator.random(),
    "a numpy generator of its own": lambda self: self.numpy_generator.normal(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_every_draw_is_seen(name):
    model = Drawing(DRAWS[name])
    with seeded(0):
        before = random_states(model)
        model(torch.ones(2, 4))
        assert random_states(model) != before


def test_nothing_drawn_is_nothing_seen():
    model = Drawing(lambda self: None)
    before = random_states(model)
    model(torch.ones(2, 4))
    assert random_states(model) == before
