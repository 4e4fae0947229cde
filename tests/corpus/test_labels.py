"""Labels of outcomes made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.corpus.labels import NEVER, TRAINS, Scale, final_score, has_learned, is_improving, label, outcome, scale_of
from tests.corpus.store import Row, Run

ROW = Row("family", "name", "digits", "cross-entropy", "standardized", "given", 32, 100, runs=())


def row(sgd: list[float], adam: list[float], loss: float = 1.0) -> Row:
    """A row of one learning rate an optimizer whose seeds end at these errors; NaN is a run that broke."""
    runs = [
        Run(name, 0.1, seed, 100, (loss, loss if math.isfinite(error) else None), (error, error))
        for name, errors in (("sgd", sgd), ("adam", adam))
        for seed, error in enumerate(errors)
    ]
    return replace(ROW, runs=tuple(runs))


def test_the_score_is_zero_at_the_reference_and_one_at_the_trivial_error() -> None:
    scale = scale_of(ROW)
    assert scale.score(scale.reference) == 0
    assert scale.score(scale.trivial) == 1


def test_the_better_optimizer_decides() -> None:
    result = label(row(sgd=[0.9, 0.9, 0.9], adam=[0.05, 0.06, 0.05]))
    assert result.outcome == "trains"
    assert result.by_optimizer == {"sgd": "never", "adam": "trains"}
    assert result.mechanism is None


def test_a_model_at_chance_is_stuck() -> None:
    result = label(row(sgd=[0.9] * 3, adam=[0.89] * 3, loss=2.3))
    assert (result.outcome, result.mechanism) == ("never", "stuck")


@pytest.mark.parametrize(("error", "loss"), [(math.nan, 1.0), (0.9, 1e6)])
def test_a_model_that_breaks_or_ends_far_above_chance_explodes(error: float, loss: float) -> None:
    result = label(row(sgd=[error] * 3, adam=[error] * 3, loss=loss))
    assert (result.outcome, result.mechanism) == ("never", "exploding")


def test_only_the_lowest_rate_tells_exploding_from_stuck() -> None:
    stuck = row(sgd=[0.9] * 3, adam=[0.9] * 3, loss=2.3)
    broken = [replace(run, learning_rate=1.0, loss=(None,), error=(None,)) for run in stuck.runs]
    assert label(replace(stuck, runs=(*stuck.runs, *broken))).mechanism == "stuck"


def test_one_lucky_seed_neither_trains_nor_is_never() -> None:
    assert outcome([[1.0, 1.0, 0.1]]) == "degraded"


def test_one_unlucky_seed_of_the_best_rate_is_degraded() -> None:
    assert outcome([[0.0, 0.1, 1.0]]) == "degraded"
    assert outcome([[0.0, 0.1, 1.0], [0.2, 0.2, 0.2]]) == "trains"


def test_the_limits_belong_to_the_clear_outcomes() -> None:
    assert outcome([[TRAINS] * 3]) == "trains"
    assert outcome([[TRAINS + 1e-9] * 3]) == "degraded"
    assert outcome([[NEVER] * 3]) == "never"
    assert outcome([[NEVER - 1e-9] * 3]) == "degraded"


def test_a_run_that_broke_scores_infinity() -> None:
    [run] = row(sgd=[math.nan], adam=[]).runs
    assert final_score(run, Scale(0.0, 1.0)) == math.inf


def test_learning_is_two_windows_near_the_reference() -> None:
    scale = Scale(0.0, 1.0)
    assert has_learned([0.9, 0.1, 0.05], scale)
    assert not has_learned([0.9, 0.2, 0.05], scale)
    assert not has_learned([0.05], scale)


def test_a_slow_fall_is_improving_and_noise_is_not() -> None:
    scale = Scale(0.0, 1.0)
    assert is_improving([1 - 0.02 * i for i in range(12)], scale)
    assert not is_improving([0.9 + 0.01 * (-1) ** i for i in range(12)], scale)
