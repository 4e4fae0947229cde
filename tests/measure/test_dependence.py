"""Noise in the output and leaks between samples, against models that have known amounts of both."""

import pytest
import torch
from torch import Tensor, nn

from gradscope.measure._dependence import output_noise, own_share
from tests.subjects import random, subject


class Noisy(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x)


def noise_of(model: nn.Module, x: Tensor) -> float:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return output_noise(subject(model, x), model(x), len(x)).value


@pytest.mark.parametrize("std", [0.5, 2.0])
def test_noise_is_its_share_of_the_variance_between_samples(std: float) -> None:
    x = random(400, 50)

    assert noise_of(Noisy(std), x) == pytest.approx(std**2 / (1 + std**2), rel=0.05)


def test_a_deterministic_model_has_none_and_pure_noise_is_all() -> None:
    assert noise_of(nn.Linear(5, 3), random(8, 5)) == 0
    assert noise_of(Noisy(1.0), torch.zeros(300, 40)) == pytest.approx(1, rel=0.05)


def share_of(function: nn.Module, x: Tensor) -> float:
    x = x.clone().requires_grad_()
    return own_share(function(x), [x], len(x), seed=0).value


class Mixed(nn.Module):
    """Each sample keeps a part of itself and gets the mean of all."""

    def __init__(self, kept: float) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, x: Tensor) -> Tensor:
        return self.kept * x + (1 - self.kept) * x.mean(0)


class Flipped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(0)


@pytest.mark.parametrize("kept", [0.0, 0.3, 1.0])
def test_the_own_share_is_that_of_the_jacobian(kept: float) -> None:
    batch, x = 6, random(6, 4)
    own, other = kept + (1 - kept) / batch, (1 - kept) / batch
    expected = own**2 / (own**2 + (batch - 1) * other**2)

    assert share_of(Mixed(kept), x) == pytest.approx(expected, rel=1e-5)


def test_samples_that_do_not_meet_answer_for_themselves_and_exchanged_ones_do_not() -> None:
    assert share_of(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), random(6, 4)) == 1
    assert share_of(Flipped(), random(6, 4)) == 0


def test_unknown_without_a_gradient_or_a_batch() -> None:
    x = random(6, 4).requires_grad_()

    assert not own_share(x.detach(), [x], 6, seed=0).is_known
    assert not own_share(x.round(), [x], 6, seed=0).is_known
    assert not own_share(x, [x], 0, seed=0).is_known
    assert not output_noise(subject(nn.Linear(4, 3), x), x, 0).is_known
