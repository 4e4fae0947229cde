"""A schedule is recommended where it beats a constant rate, and not where it does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from gradscope.batches import Batch
from gradscope.prescribe._budget import Plan
from gradscope.prescribe._contest import Arena, Entrant
from gradscope.prescribe._rehearsal import Rehearsal
from gradscope.prescribe._task import Task
from gradscope.prescribe._training import MOMENTUM
from gradscope.prescribe.schedule import SCHEDULES, attached, schedule


class Point(nn.Module):
    """A point that is to move to one in every coordinate."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(200))

    def forward(self, kick: Tensor) -> Tensor:
        return (self.value - 1).square().mean() + (kick * self.value).sum()


def rehearsal(noise: float, *, is_cut: bool = False) -> Rehearsal:
    """Gradients with noise, which a constant rate never gets rid of; the loss itself has hardly any."""

    def kick(generator: torch.Generator) -> Tensor:
        drawn = noise * torch.randn(200, generator=generator)
        return drawn - drawn.mean()  # none along the way to the goal

    def batches(seed: int, most: int) -> list[Batch]:
        generator = torch.Generator().manual_seed(seed)
        return [Batch((kick(generator),), {}, None) for _ in range(most)]

    arena = Arena(Task(batches, lambda output, _: output, "noisy gradients"), Plan(60, 3, 6, 1, is_cut), 0)
    return Rehearsal(arena, Entrant(lambda seed: Point()), MOMENTUM, "float32", "cpu", 0.1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rate_follows_the_schedule(name: str) -> None:
    model = Point()
    optimizer = SGD(model.parameters(), 2.0)
    attached(SCHEDULES[name], 10)(model, optimizer)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    assert rates == pytest.approx([2 * SCHEDULES[name](step / 10) for step in range(10)])


def test_schedules_end_where_they_should() -> None:
    assert SCHEDULES["warm-up"](0.0) == pytest.approx(0.1)
    assert SCHEDULES["warm-up"](0.1) == 1.0
    assert SCHEDULES["linear decay"](1.0) == 0.0
    assert all(0 <= shape(done / 50) <= 1 for shape in SCHEDULES.values() for done in range(51))


def test_a_decay_is_recommended_where_it_averages_noise_out() -> None:
    found = schedule(rehearsal(noise=0.01))
    print(found)
    assert "linear decay" in found["shape"]
    assert found["loss"] < 0.9 * found["loss_constant"]


def test_no_schedule_is_recommended_where_nothing_is_left_to_gain() -> None:
    assert schedule(rehearsal(noise=0.0)) == {}


def test_nothing_is_tried_where_there_is_no_time() -> None:
    assert schedule(rehearsal(noise=0.01, is_cut=True)) == {}
