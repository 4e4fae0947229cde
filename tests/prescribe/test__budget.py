"""The budget shortens trials of large models, and by nothing but their size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.config import Config
from gradscope.prescribe._budget import plan, step_seconds
from gradscope.schema import LayerNode

CONFIG = Config()


def nodes(layers: int, width: int) -> list[LayerNode]:
    one = LayerNode(0, "linear", "module", "Linear", "linear", 0, (), (64, width), "float32", fan_in=width)
    return [one] * layers


def test_a_small_model_gets_what_is_configured() -> None:
    found = plan(nodes(10, 64), 40_000, 6, 4, CONFIG)
    assert (found.steps, found.seeds, found.candidates, found.is_cut) == (
        CONFIG.trial_steps,
        CONFIG.trial_seeds,
        6,
        False,
    )


def test_a_larger_model_gets_fewer_steps() -> None:
    found = plan(nodes(60, 200), 10**6, 6, 4, CONFIG)
    assert CONFIG.trial_steps_least < found.steps < CONFIG.trial_steps
    assert found.candidates == 6
    assert found.is_cut


def test_a_huge_model_gets_the_least_steps_and_one_remedy() -> None:
    found = plan(nodes(100, 10_000), 10**10, 6, 4, CONFIG)
    assert (found.steps, found.candidates, found.is_cut) == (CONFIG.trial_steps_least, 1, True)


@pytest.mark.parametrize("width", [100, 200, 400, 800])
def test_the_plan_stays_within_the_budget(width: int) -> None:
    layers, parameters, trainings = nodes(60, width), 60 * width**2, 4.0
    found = plan(layers, parameters, 6, trainings, CONFIG)
    cost = (found.candidates + 1) * (trainings + found.seeds - 1) * found.steps * step_seconds(layers, parameters)
    least = found.steps == CONFIG.trial_steps_least and found.candidates == 1
    assert cost <= CONFIG.trial_seconds or least


def test_more_budget_gives_more_steps() -> None:
    rich = replace(CONFIG, trial_seconds=10 * CONFIG.trial_seconds)
    args = (nodes(60, 200), 10**6, 6, 4)
    assert plan(*args, rich).steps > plan(*args, CONFIG).steps
