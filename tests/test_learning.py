"""What attempts taught, on attempts whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import linregress

from gradscope.learning import evidence, gaps, growth, has_diverged, has_learned, skills
from tests.attempts import STEPS, diverging, learning, misled, stalled


def test_a_falling_loss_that_knows_its_targets_has_learned() -> None:
    attempt = learning()

    assert has_learned(attempt) and not has_diverged(attempt)
    assert evidence(attempt) > 5


def test_a_loss_that_stays_has_neither_learned_nor_diverged() -> None:
    assert not has_learned(stalled()) and not has_diverged(stalled())
    assert abs(evidence(stalled())) < 2


def test_a_loss_that_is_no_longer_finite_has_diverged() -> None:
    assert has_diverged(diverging()) and not has_learned(diverging())
    assert gaps(diverging()) == [0.0] * (STEPS // 2)


def test_a_loss_that_falls_while_no_answer_becomes_right_is_no_evidence() -> None:
    assert evidence(misled()) <= 3 < evidence(learning())
    assert not has_learned(misled())


def test_growth_is_the_slope_over_its_standard_error() -> None:
    attempt = learning()
    every = np.array([(b - a) / (a + b) for a, b in zip(attempt.losses, attempt.mismatched, strict=True)])
    line = linregress(np.arange(len(every)), every)

    assert growth(attempt) == pytest.approx(line.slope / line.stderr, rel=1e-3)
    assert growth(attempt) > 5 and abs(growth(stalled())) < 2
    assert growth(replace(attempt, asked=3, losses=(1.0,) * 3, mismatched=(2.0,) * 3)) == 0


def test_gaps_are_shares_of_both_losses_and_skills_of_the_error_of_strangers() -> None:
    attempt = learning()
    step = STEPS // 2
    own, other = attempt.losses[step], attempt.mismatched[step]

    assert gaps(attempt)[0] == pytest.approx((other - own) / (other + own))
    assert skills(attempt)[0] == pytest.approx((0.9 - attempt.errors[step]) / 0.9)
    assert all(map(math.isfinite, gaps(attempt)))
