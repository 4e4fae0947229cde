"""A short training follows the textbook, and says where it broke."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from gradscope.batches import Batch
from gradscope.prescribe._training import Hooks, final, train, trainable


class Point(nn.Module):
    """One number, whose square is the loss: gradient descent multiplies it by 1 - 2 rate."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, scale: Tensor) -> Tensor:
        return scale * self.value


BATCHES = [Batch((torch.tensor(1.0, dtype=torch.float64),), {}, None)]


def square(output: Tensor, _: object) -> Tensor:
    return output.square()


def descend(rate: float, steps: int = 20, hooks: Hooks | None = None) -> list[float]:
    model = Point()
    return train(model, SGD(trainable(model), rate), BATCHES, square, steps=steps, seed=0, hooks=hooks)


def test_gradient_descent_on_a_parabola_is_geometric() -> None:
    assert descend(0.1) == pytest.approx([0.8 ** (2 * step) for step in range(20)])


def test_a_divergent_training_is_infinite_from_where_it_breaks() -> None:
    losses = descend(1e3)
    assert len(losses) == 20
    assert losses[0] == 1
    assert math.isinf(losses[-1])
    assert final(losses) == math.inf


def test_a_training_that_meets_nan_is_infinite() -> None:
    losses = descend(0.1, hooks=Hooks(factor=lambda step: math.nan if step == 3 else 1.0))
    assert math.isfinite(losses[3])
    assert losses[4:] == [math.inf] * 16


def test_a_factor_makes_one_step_larger() -> None:
    losses = descend(0.1, hooks=Hooks(factor=lambda step: 2.0 if step == 0 else 1.0))
    assert losses[1] == pytest.approx(0.6**2)


def test_a_hook_sees_the_gradient_before_the_step() -> None:
    seen: list[float] = []
    descend(0.1, steps=2, hooks=Hooks(before_step=lambda model, step: seen.append(float(model.value.grad))))
    assert seen == pytest.approx([2.0, 1.6])


def test_a_training_leaves_the_generator_alone_and_is_repeatable() -> None:
    models = [nn.Sequential(nn.Dropout(0.5), Point().double()) for _ in range(2)]
    batch = Batch((torch.ones(9, dtype=torch.float64),), {}, None)
    state = torch.get_rng_state()
    first, again = (
        train(m, SGD(trainable(m), 0.1), [batch], lambda y, _: y.square().mean(), steps=5, seed=1) for m in models
    )
    assert first == again
    assert first != sorted(first, reverse=True), "dropout should differ from step to step"
    assert torch.equal(torch.get_rng_state(), state)


def test_frozen_parameters_are_not_trained() -> None:
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    assert trainable(model) == [model.bias]


def test_the_final_loss_is_the_mean_of_the_last_sixth() -> None:
    assert final([9.0] * 10 + [1.0, 3.0]) == 2.0
    assert final([5.0]) == 5.0
