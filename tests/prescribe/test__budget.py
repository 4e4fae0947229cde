"""The budget shortens trials of large models, and by nothing but their size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gradscope.config import Config
from gradscope.prescribe._budget import FEW_SETTINGS, FINALISTS, OVERDRAFT, SCREENING, Plan, plan

CONFIG = Config()


def test_a_small_model_gets_what_is_configured() -> None:
    found = plan(1e-4, 6, 6, CONFIG)
    assert found == Plan(CONFIG.trial_steps, CONFIG.trial_seeds, 6, 6, False)


def test_a_larger_model_gets_fewer_steps() -> None:
    found = plan(0.01, 6, 6, CONFIG)
    assert found is not None
    assert CONFIG.trial_steps_least < found.steps < CONFIG.trial_steps
    assert (found.settings, found.candidates, found.is_cut) == (6, 6, True)


def test_a_large_model_gets_fewer_candidates_and_a_huge_one_fewer_settings() -> None:
    least = CONFIG.trial_steps_least
    assert plan(0.06, 6, 6, CONFIG) == Plan(least, CONFIG.trial_seeds, 6, 3, True)
    assert plan(1.0, 6, 6, CONFIG) == Plan(least, CONFIG.trial_seeds, 3, 1, True)


def test_a_model_that_is_far_too_large_is_not_tried() -> None:
    assert plan(60.0, 6, 6, CONFIG) is None


@given(st.floats(1e-5, 100.0), st.integers(1, 12))
def test_the_plan_stays_within_the_budget_or_is_the_least_there_is(step: float, candidates: int) -> None:
    found = plan(step, candidates, 6, CONFIG)
    if found is None:
        return
    more = found.seeds - 1
    trainings = found.settings + more + found.candidates * (found.settings / SCREENING + FINALISTS + more)
    cost = trainings * found.steps * step
    is_least = (found.steps, found.candidates, found.settings) == (CONFIG.trial_steps_least, 1, FEW_SETTINGS)
    assert cost <= CONFIG.trial_seconds or (is_least and cost <= OVERDRAFT * CONFIG.trial_seconds)
