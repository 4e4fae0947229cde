"""Normalizations that a model writes out itself, against the ones of torch and against many draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscope import predict
from gradscope.schema import Profile
from tests.predict.checks import Between, agree
from tests.subjects import random


def rms_norm(h: Tensor) -> Tensor:
    return h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)


def layer_norm(h: Tensor) -> Tensor:
    return (h - h.mean(-1, keepdim=True)) / torch.sqrt(h.var(-1, keepdim=True, unbiased=False) + 1e-6)


WRITTEN: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "rms": (rms_norm, lambda h: F.rms_norm(h, (64,))),
    "layer": (layer_norm, lambda h: F.layer_norm(h, (64,))),
    "unit length": (lambda h: F.normalize(h, dim=-1), lambda h: F.rms_norm(h, (64,)) / 8),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_normalization_is_the_one_of_torch(name: str) -> None:
    def profile(function: Callable[[Tensor], Tensor]) -> Profile:
        return predict.profile(predict.forward(predict.plan(lambda: Between(function)), (random(32, 64),)))

    by_hand, whole = map(profile, WRITTEN[name])
    for what in ("activation", "gradient"):
        one, other = (getattr(p.by_name["first"], what).second_moment.value for p in (by_hand, whole))
        assert one == pytest.approx(other, rel=1e-3)


def test_a_written_normalization_against_draws() -> None:
    agree(lambda: Between(rms_norm), 5 * random(32, 64))


def test_a_product_with_another_tensors_size_is_no_normalization() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other, self.show = nn.Linear(64, 64), nn.Linear(64, 64), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            size = self.other(x).pow(2).mean(-1, keepdim=True)
            return self.show(3 * self.one(x) * torch.rsqrt(size + 1e-6))

    agree(Scaled, random(32, 64))
