"""The additive model against its formula, and what its coefficients promise."""

import itertools
import math

import pytest

from gradscope.diagnose._features import FEATURES, MOST
from gradscope.diagnose._risk import BASES, Head, Ramp, Seen, model

HEAD = Head(-2.0, 1.5, 0.25, (Ramp("a", 1.0, 3.0, 2.0, 0.4), Ramp("b", 0.0, 1.0, 1.0, 0.1)))


@pytest.mark.parametrize(("a", "height"), [(0.0, 0.0), (2.0, 0.5), (9.0, 1.0), (None, 0.4)])
def test_a_probability_is_the_logistic_function_of_the_ramps(a: float | None, height: float) -> None:
    logit = 1.5 * (-2.0 + 2.0 * height + 1.0 * 0.7) + 0.25

    assert HEAD.probability({"a": a, "b": 0.7}) == pytest.approx(1 / (1 + math.exp(-logit)))


def test_parts_add_up_to_the_log_odds_beyond_a_model_without_faults() -> None:
    found: dict[str, float | None] = {"a": 2.5, "b": 0.3}
    logit = math.log(HEAD.probability(found) / (1 - HEAD.probability(found)))
    none = math.log(HEAD.probability({"a": 0.0, "b": 0.0}) / (1 - HEAD.probability({"a": 0.0, "b": 0.0})))

    assert sum(HEAD.parts(found).values()) == pytest.approx(logit - none)


def test_distance_is_that_to_the_nearest_point_over_what_both_know() -> None:
    seen = Seen(("a", "b"), (1.0, 2.0), ((0.0, 0.0), (4.0, None)), limit=1.0)

    assert seen.distance({"a": 0.0, "b": 2.0}) == pytest.approx(math.sqrt(0.5))
    assert seen.distance({"a": 4.5, "b": 9.0}) == pytest.approx(0.5)
    assert seen.distance({"a": None}) == math.inf


@pytest.mark.parametrize(("head", "basis"), list(itertools.product(("never", "not_fully"), BASES)))
def test_no_coefficient_makes_worse_look_better(head: str, basis: str) -> None:
    fitted: Head = getattr(model(), head)[basis]

    assert fitted.slope > 0
    assert all(ramp.weight >= 0 and ramp.start < ramp.end for ramp in fitted.ramps)
    assert {ramp.feature for ramp in fitted.ramps} <= set(FEATURES)
    best = dict.fromkeys(FEATURES, 0.0)
    worst = dict.fromkeys(FEATURES, MOST)
    assert fitted.probability(best) < 0.2 < 0.8 < fitted.probability(worst)


def test_the_coefficients_say_where_they_come_from() -> None:
    assert set(model().provenance) == {"command", "outcomes", "features", "models"}
    assert len(model().provenance["outcomes"]) == 64
