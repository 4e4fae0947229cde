"""After LSUV every layer's output has unit variance on the batch, whatever lies between the layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.prescribe.cases import case, change, cured


class Odd(nn.Module):
    """Things that no formula covers: a cumulative sum, a product, pooling, a constant factor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv1d(1, 8, 3), nn.Linear(15, 32), nn.Linear(32, 5)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        h = nn.functional.avg_pool1d(self.a(x).cumsum(-1), 2).mean(1)
        return self.c(torch.sigmoid(self.b(h)) * 1e3 * scale)


def test_every_output_has_unit_variance() -> None:
    x, scale = 50 + 30 * torch.randn(16, 1, 32), torch.rand(16, 1)
    done = cured("lsuv-initialization", case(Odd(), x, scale))
    stds: list[float] = []
    for layer in done.children():
        layer.register_forward_hook(lambda module, args, output: stds.append(float(output.detach().std())))
    done(x, scale)
    assert stds == pytest.approx([1.0, 1.0, 1.0], rel=1e-3)


def test_no_hook_is_left_behind() -> None:
    done = cured("lsuv-initialization", case(Odd(), torch.randn(4, 1, 32), torch.rand(4, 1)))
    assert all(not module._forward_hooks for module in done.modules())


def test_a_constant_output_does_not_divide_by_zero() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    done = cured("lsuv-initialization", case(model, torch.zeros(2, 4)))
    assert all(bool(p.isfinite().all()) for p in done.parameters())


def test_it_reads_the_inputs_as_the_model_takes_them() -> None:
    assert "model(*inputs)" in change("lsuv-initialization", case(Odd(), torch.randn(4, 1, 32), torch.rand(4, 1))).code
