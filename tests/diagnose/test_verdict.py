"""Sick profiles are named with their mechanism, healthy ones are healthy, and far from all that was seen is unknown."""

from dataclasses import replace

import pytest

from gradscope.config import Config
from gradscope.diagnose import findings, verdict
from gradscope.diagnose._features import FEATURES
from gradscope.diagnose._risk import BASES, Head, model
from gradscope.schema import Attempt, Estimate, Profile, Verdict
from tests.attempts import diverging, learning, misled, stalled
from tests.diagnose.profiles import chain
from tests.diagnose.test_features import healthy


def judged(profile: Profile, *attempts: Attempt) -> Verdict:
    tried = replace(profile, attempts=attempts)
    return verdict(tried, findings(tried, Config()), Config())


@pytest.mark.parametrize("attempts", [(), (learning(),), (learning(is_real=False),)])
def test_a_healthy_profile_is_healthy_whatever_was_tried(attempts: tuple[Attempt, ...]) -> None:
    answer = judged(healthy(), *attempts)

    assert answer.label == "healthy", answer
    assert answer.risk < 0.5
    assert answer.risk_of_never is not None and answer.risk_of_never <= answer.risk


@pytest.mark.parametrize("attempts", [(), (stalled(),), (stalled(is_real=False),)])
def test_a_vanishing_gradient_is_the_mechanism(attempts: tuple[Attempt, ...]) -> None:
    answer = judged(healthy(gradient_gain=0.1), *attempts)

    assert answer.label == "vanishing", answer
    assert answer.risk >= 0.5


@pytest.mark.parametrize("attempts", [(), (learning(),), (stalled(),), (stalled(is_real=False),)])
def test_healthy_is_what_is_more_likely_than_not_to_train(attempts: tuple[Attempt, ...]) -> None:
    ladder = [healthy(output_variation=10.0**-n, initial_loss=2.3 * 1.5**n) for n in range(0, 16, 2)]
    answers = [judged(source, *attempts) for source in ladder]
    print([(answer.label, answer.risk) for answer in answers])

    assert all((answer.label == "healthy") == (answer.risk < 0.5) for answer in answers)
    assert answers[0].risk < answers[-1].risk


def test_statics_that_lean_to_a_fault_and_no_more_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    head = Head(intercept=0.5, slope=1.0, offset=0.0, ramps=())  # a risk of 0.62
    leaning = replace(model(), never=dict.fromkeys(BASES, head), not_fully=dict.fromkeys(BASES, head))
    monkeypatch.setattr("gradscope.diagnose._verdict.model", lambda: leaning)

    assert judged(healthy()).label == "unknown"
    assert judged(healthy(), learning()).label == "degraded"


def test_an_exploding_gradient_is_the_mechanism() -> None:
    answer = judged(healthy(gradient_gain=10.0, initial_loss=1e5), diverging())

    assert answer.label == "exploding", answer
    assert answer.risk > 0.7


def test_what_learns_on_real_batches_in_spite_of_its_gains_is_degraded() -> None:
    sick = healthy(gradient_gain=0.3)

    assert judged(sick, learning()).risk < judged(sick, stalled()).risk
    assert judged(sick, learning()).label == "degraded"
    assert "In spite of" in judged(sick, learning()).reason


@pytest.mark.parametrize(
    ("fault", "attempt", "word"),
    [
        ({"perfect_loss": 2.3}, misled(), "targets"),
        ({"own_share": 0.0}, stalled(), "other samples"),
        ({"output_noise": 1.0}, stalled(), "noise"),
    ],
)
def test_a_fault_without_a_gain_is_degraded_and_named(fault: dict[str, float], attempt: Attempt, word: str) -> None:
    answer = judged(healthy(**fault), attempt)

    assert answer.label == "degraded", answer
    assert word in answer.reason


def test_conditions_say_what_every_attempt_came_to() -> None:
    answer = judged(healthy(), learning(), diverging(), stalled())

    assert answer.conditions == (
        "learns with Adam at 0.004",
        "diverges with SGD at 0.05",
        "has not learned after 20 steps with Adam at 0.004",
    )


def test_the_basis_is_named() -> None:
    assert "your batches" in judged(healthy(), learning()).basis
    assert "example batch" in judged(healthy(), learning(is_real=False)).basis
    assert "one forward" in judged(healthy()).basis


def test_drawn_targets_that_were_not_learned_by_heart_tell_nothing() -> None:
    drawn = replace(healthy(), loss="cross-entropy over 10 classes, labels drawn with the seed")
    alone, stuck = judged(drawn), judged(drawn, stalled(is_real=False))

    assert (stuck.label, stuck.risk, stuck.basis) == (alone.label, alone.risk, alone.basis)
    assert stuck.conditions == ("has not learned after 20 steps with Adam at 0.004",)
    assert "example batch" in judged(drawn, learning(is_real=False)).basis
    assert judged(healthy(), stalled(is_real=False)).risk > 2 * stuck.risk


def test_far_from_everything_seen_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = replace(model(), seen=replace(model().seen, points=((1e3,) * len(FEATURES),)))
    monkeypatch.setattr("gradscope.diagnose._verdict.model", lambda: nowhere)
    answer = judged(healthy(), learning())

    assert answer.label == "unknown"
    assert "unlike" in answer.reason


def test_without_a_gradient_nothing_is_said() -> None:
    blind = healthy()
    blind = replace(blind, layers=tuple(replace(layer, gradient=None) for layer in blind.layers))

    assert judged(blind).label == "unknown"


def test_a_profile_from_theory_alone_is_judged_by_what_it_has() -> None:
    sick, well = (replace(chain(10, gradient_gain=g), origin="predicted", network={}) for g in (0.1, 1.0))

    assert judged(sick).label == "vanishing"
    assert judged(well).label == "healthy"


def test_numbers_that_are_not_finite_leave_a_verdict() -> None:
    broken = healthy(initial_loss=float("nan"), own_share=float("nan"), output_noise=float("inf"))
    broken.network["constant_loss"] = Estimate.exact(float("-inf"))
    answer = judged(broken, diverging())

    assert 0 <= answer.risk <= 1
    assert answer.label in ("exploding", "degraded")
