"""A zero output layer starts with the loss of an uninformed model, and still lets everything learn."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.prescribe.cases import case, changes, cured
from tests.prescribe.sick import tower


def test_the_first_loss_is_ln_k() -> None:
    done = cured("zero-output-layer", case(tower(3, nn.ReLU, gain=5.0), torch.randn(4, 64)))
    loss = F.cross_entropy(done(torch.randn(9, 64)), torch.arange(9))
    assert float(loss.detach()) == pytest.approx(math.log(10))


def test_every_layer_learns_from_the_second_step_on() -> None:
    done = cured("zero-output-layer", case(tower(3, nn.ReLU), torch.randn(4, 64)))
    optimizer = torch.optim.SGD(done.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(done(torch.randn(9, 64)), torch.arange(9)).backward()
        optimizer.step()
    assert all(bool(p.grad.any()) for p in done.parameters())


def test_a_head_that_is_tied_to_the_embedding_is_left_alone() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.embedding(x))

    assert changes("zero-output-layer", case(Tied(), torch.randint(7, (2, 3)))) == []
