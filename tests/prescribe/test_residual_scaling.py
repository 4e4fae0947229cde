"""Scaled branches keep the residual stream's size; unscaled ones double it at every block."""

from __future__ import annotations

import torch
from torch import nn

from tests.prescribe.cases import case, changes, cured, seeded
from tests.prescribe.sick import Residual, tower


def test_the_stream_no_longer_grows_with_depth() -> None:
    x = torch.randn(8, 1, 8, 8)

    def size(model: nn.Module) -> float:
        return float(model(x).detach().square().mean())

    sick = case(seeded(lambda: Residual(16)), x)
    shallow = seeded(lambda: Residual(1))
    assert size(sick.model) > 100 * size(shallow)
    assert size(cured("residual-scaling", sick)) < 5 * size(shallow)


def test_each_branch_is_scaled_once() -> None:
    one = case(Residual(4), torch.randn(2, 1, 8, 8))
    done = cured("residual-scaling", one)
    assert torch.allclose(done.blocks[2][2].weight, one.model.blocks[2][2].weight / 2)
    assert torch.allclose(done.blocks[2][2].bias, one.model.blocks[2][2].bias / 2)
    assert torch.equal(done.blocks[2][0].weight, one.model.blocks[2][0].weight)


def test_one_branch_or_none_is_left_alone() -> None:
    assert changes("residual-scaling", case(Residual(1), torch.randn(2, 1, 8, 8))) == []
    assert changes("residual-scaling", case(tower(4, nn.ReLU), torch.randn(2, 64))) == []
