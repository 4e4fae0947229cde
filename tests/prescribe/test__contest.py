"""A contest finds the learning rate that fits, and gives every model the same batches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gradscope.batches import Batch
from gradscope.prescribe._budget import Plan
from gradscope.prescribe._contest import Arena, Entrant
from gradscope.prescribe._task import Task
from gradscope.prescribe._training import SETTINGS


class Valley(nn.Module):
    """curvature x^2 / 2 from x = 1."""

    def __init__(self, curvature: float) -> None:
        super().__init__()
        self.value, self.curvature = nn.Parameter(torch.ones(())), curvature

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5 * self.curvature * self.value**2


def arena(steps: int = 30, seeds: int = 3) -> Arena:
    task = Task(lambda seed, most: [Batch((torch.ones(()),), {}, None)], lambda output, _: output, "a valley")
    return Arena(task, Plan(steps, seeds, len(SETTINGS), 1, False), 7)


@pytest.mark.parametrize(("curvature", "worst"), [(1.0, 1e-2), (3000.0, 1.0)])
def test_the_best_setting_is_found(curvature: float, worst: float) -> None:
    outcome = arena().contest(Entrant(lambda seed: Valley(curvature)))
    everything = arena().contest(Entrant(lambda seed: Valley(curvature)), is_thorough=True)
    assert outcome.mean < worst * curvature
    assert everything.mean <= outcome.mean


def test_every_seed_is_trained() -> None:
    seeds: list[int] = []

    def make(seed: int) -> nn.Module:
        seeds.append(seed)
        return Valley(1.0)

    outcome = arena().contest(Entrant(make))
    assert set(seeds) == {7, 8, 9}
    assert len(outcome.curves) == 3
    assert all(len(curve) == 30 for curve in outcome.curves)


def test_a_loser_is_not_trained_on_the_other_seeds() -> None:
    assert len(arena().contest(Entrant(lambda seed: Valley(1.0)), to_beat=-1.0).curves) == 1


def test_batches_are_drawn_once_a_seed() -> None:
    one = arena()
    assert one.batches(3) is one.batches(3)


def test_the_trial_is_what_happened() -> None:
    trial = arena().contest(Entrant(lambda seed: Valley(1.0))).trial()
    assert (trial.steps, trial.seeds, len(trial.curve)) == (30, 3, 30)
    assert trial.best_learning_rate in trial.learning_rates
    assert trial.initial_loss.value == 0.5
    assert trial.final_loss.is_below(0.5)


def test_a_model_that_always_diverges_has_no_final_loss() -> None:
    outcome = arena().contest(Entrant(lambda seed: Valley(math.nan)))
    assert outcome.mean == math.inf
    assert outcome.trial().final_loss.status == "nonfinite"


def test_a_setting_trains_a_fresh_model_each_time() -> None:
    one = arena()
    setting = SETTINGS[0]
    assert one.train(Entrant(lambda seed: Valley(1.0)), setting, 7) == one.train(
        Entrant(lambda seed: Valley(1.0)), setting, 7
    )
