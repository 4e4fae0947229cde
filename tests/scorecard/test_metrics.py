"""Areas, intervals and calibration against slow twins and known answers."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.scorecard import metrics


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Risks, and what happened with just that chance."""
    generator = np.random.default_rng(seed)
    risks = generator.random(n)
    return risks, generator.random(n) < risks


def test_the_area_is_the_chance_that_a_bad_one_scores_higher() -> None:
    scores, is_bad = drawn(60)
    scores = scores.round(1)
    pairs = [(b > g) + 0.5 * (b == g) for b in scores[is_bad] for g in scores[~is_bad]]

    assert metrics.auroc(scores, is_bad) == pytest.approx(np.mean(pairs))
    assert metrics.auroc(scores, is_bad) == pytest.approx(roc_auc_score(is_bad, scores))
    assert np.isnan(metrics.auroc(scores, np.zeros(60, dtype=bool)))


def test_the_area_is_that_under_the_curve() -> None:
    scores, is_bad = drawn(200)
    x, y = np.array(metrics.roc(scores, is_bad)).T

    assert np.trapezoid(y, x) == pytest.approx(metrics.auroc(scores, is_bad))


def test_risks_that_are_frequencies_are_calibrated_and_doubled_ones_are_not() -> None:
    risks, is_bad = drawn(20000)

    assert metrics.calibration_error(risks, is_bad) < 0.02
    assert metrics.calibration_error(risks / 2, is_bad) == pytest.approx(0.25, abs=0.02)
    assert sum(weight for _, _, weight in metrics.reliability(risks, is_bad)) == pytest.approx(1)


def test_balanced_accuracy_counts_both_kinds_alike() -> None:
    is_bad = np.array([True] + [False] * 9)

    assert metrics.balanced_accuracy(np.zeros(10), is_bad) == 0.5
    assert metrics.balanced_accuracy(np.where(is_bad, 1.0, -1.0), is_bad) == 1


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(40):
        found = metrics.interval(lambda scores, _: float(scores.mean()), *drawn(50, seed))
        inside += found.low <= 0.5 <= found.high

    assert inside >= 33  # 38 of 40 are expected; fewer has a chance of 1 in 500


def test_a_better_score_has_an_advantage_and_an_equal_one_none() -> None:
    risks, is_bad = drawn(400)
    noise = np.random.default_rng(1).random(400)

    assert metrics.advantage(metrics.auroc, risks, noise, is_bad).low > 0
    assert metrics.advantage(metrics.auroc, risks, risks, is_bad).value == 0
