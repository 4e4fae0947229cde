"""With zero branches the network is its skip path, and still every weight can learn."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.prescribe.cases import case, changes, cured
from tests.prescribe.sick import Residual, tower


def test_the_network_starts_as_its_skip_connections() -> None:
    x = torch.randn(4, 1, 8, 8)
    done = cured("zero-residual-branches", case(Residual(6), x))
    alone = done.head(F.avg_pool2d(done.stem(x).relu(), 2).flatten(1))
    assert torch.allclose(done(x), alone, atol=1e-6)


def test_every_weight_learns_from_the_second_step_on() -> None:
    x = torch.randn(4, 1, 8, 8)
    done = cured("zero-residual-branches", case(Residual(3), x))
    optimizer = torch.optim.SGD(done.parameters(), 0.01)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(done(x), torch.arange(4)).backward()
        optimizer.step()
    assert all(p.grad is not None and bool(p.grad.any()) for p in done.parameters())


def test_a_plain_network_has_nothing_to_zero() -> None:
    assert changes("zero-residual-branches", case(tower(4, nn.ReLU), torch.randn(2, 64))) == []
