"""Every feature is zero where all is well, grows with what it is about, and unknown where it cannot be told."""

import math
from dataclasses import replace

import pytest

from gradscope.diagnose._features import FEATURES, FEW, MOST, features
from gradscope.schema import Estimate, Profile, Use
from tests.attempts import learning, misled, stalled
from tests.diagnose.profiles import chain, layer, profile

exact = Estimate.exact
HEALTHY = {"own_share": 1.0, "output_noise": 0.0, "constant_loss": 2.3, "perfect_loss": 0.0, "output_variation": 1.0}


def healthy(*, gradient_gain: float = 1.0, **network: float) -> Profile:
    source = chain(10, gradient_gain=gradient_gain)
    return replace(source, network=source.network | {k: Estimate.exact(v) for k, v in (HEALTHY | network).items()})


def test_a_healthy_profile_has_no_bad_feature() -> None:
    found = features(replace(healthy(), attempts=(learning(),)))

    assert {name for name, value in found.items() if value is not None and value > 0.6} == set(), found


@pytest.mark.parametrize(
    ("name", "sick"),
    [
        ("vanishing", healthy(gradient_gain=0.1)),
        ("exploding", healthy(gradient_gain=10.0)),
        ("initial_loss", healthy(initial_loss=2.3e4)),
        ("indifference", healthy(output_variation=1e-12)),
        ("noise", healthy(output_noise=0.99)),
        ("leak", healthy(own_share=0.05)),
        ("evadable", healthy(perfect_loss=2.29)),
        ("unreachable", healthy(reachable_loss=1.8)),
        ("collapse", profile([layer(1, quantities={"sample_cosine": 1 - 1e-6})])),
        ("flatness", profile([layer(1, quantities={"sample_rank": 1e-5})])),
        ("twins", profile([layer(1, quantities={"duplicate_fraction": 1.0})])),
        ("dead", profile([layer(1, op="ReLU", quantities={"dead_fraction": 1.0})])),
        ("saturated", profile([layer(1, op="Tanh", quantities={"saturated_fraction": 0.9})])),
        ("unproven", replace(healthy(), attempts=(stalled(),))),
        ("unmoving", replace(healthy(), attempts=(stalled(),))),
        ("unskilled", replace(healthy(), attempts=(misled(),))),
    ],
)
def test_a_feature_shows_its_own_fault(name: str, sick: Profile) -> None:
    value, well = features(sick)[name], features(replace(healthy(), attempts=(learning(),)))[name]

    assert value is not None and value > 0.6
    assert well is None or well < value - 0.3


def scaled(source: Profile, weight: float, gradient: float, *, last: int = 1, use: Use | None = None) -> Profile:
    """Other sizes of the last weights."""
    changed = [replace(p, rms=exact(weight), gradient_rms=exact(gradient), use=use) for p in source.parameters[-last:]]
    return replace(source, parameters=(*source.parameters[:-last], *changed))


def test_steps_are_slow_or_rash_by_what_they_move_the_weights() -> None:
    slow, rash = features(scaled(healthy(), 0.1, 1e-9, last=8)), features(scaled(healthy(), 0.1, 50.0))

    assert slow["slow_with_sgd"] == pytest.approx(-5 - math.log10(0.05 * 1e-8)) and slow["rash_with_sgd"] == 0
    assert rash["rash_with_sgd"] == pytest.approx(math.log10(0.05 * 500) + 1) and rash["slow_with_sgd"] == 0


def test_a_head_that_starts_small_may_move_by_more_than_its_size() -> None:
    head = Use("head", "layer10", fan_in=100, follower="output")

    assert features(scaled(healthy(), 1e-5, 0.1))["rash_with_sgd"] == pytest.approx(math.log10(500) + 1)
    assert features(scaled(healthy(), 1e-5, 0.1, use=head))["rash_with_sgd"] == 0


def test_a_gate_that_starts_at_nearly_nothing_is_not_moved_too_far() -> None:
    gate = Use("matrix", "layer10", fan_in=100, follower="mul")

    assert features(scaled(healthy(), 1e-6, 0.1, use=gate))["rash_with_sgd"] == 0
    assert features(scaled(healthy(), 1e-3, 0.1, use=gate))["rash_with_sgd"] == pytest.approx(math.log10(5) + 1)


def test_in_front_of_a_normalization_no_step_is_too_large() -> None:
    free, normed = (Use("matrix", "layer10", fan_in=100, follower=name) for name in ("relu", "norm"))

    assert (features(scaled(healthy(), 0.1, 50.0, use=free))["rash_with_sgd"] or 0) > 2
    assert features(scaled(healthy(), 0.1, 50.0, use=normed))["rash_with_sgd"] == 0


def test_a_gradient_of_exactly_zero_says_nothing_of_steps() -> None:
    assert features(scaled(healthy(), 0.1, 0.0, last=8))["slow_with_sgd"] == 0


def test_memory_is_looked_for_at_the_input_of_recurrent_layers_only() -> None:
    source = layer(1, op="Embedding", quantities={"lag_gain": 1e-5})

    assert features(profile([source, layer(2, op="LSTM")]))["forgetting"] == pytest.approx(5)
    assert features(profile([source, layer(2, op="Linear")]))["forgetting"] is None


def test_a_loss_that_falls_without_end_for_a_constant_answer_is_wholly_evadable() -> None:
    source = healthy()
    source.network["constant_loss"] = Estimate.exact(float("-inf"))

    assert features(source)["evadable"] == 1


def test_a_loss_that_is_not_finite_is_as_bad_as_a_loss_can_be() -> None:
    assert features(healthy(initial_loss=float("nan")))["initial_loss"] == MOST


def test_drawn_targets_say_nothing_of_the_range_of_the_last_layer_nor_of_noise() -> None:
    drawn = replace(
        healthy(reachable_loss=1.8, output_noise=0.9), loss="mean squared error, targets drawn from N(0, 1)"
    )

    assert features(drawn)["unreachable"] is None and features(drawn)["noise"] is None


def test_few_samples_do_not_tell_how_they_differ() -> None:
    few = features(healthy(samples=FEW - 1, output_noise=0.9, output_variation=1e-9))

    assert few["noise"] is None and few["indifference"] is None
    assert features(healthy(samples=FEW, output_noise=0.9))["noise"] == 0.9


def test_a_predicted_profile_has_features_and_unknown_ones() -> None:
    source = chain(10, gradient_gain=0.1)
    found = features(replace(source, origin="predicted", network={}))

    assert found["vanishing"] == MOST
    assert all(found[name] is None for name in ("dead", "twins", "noise", "leak", "evadable", "unproven", "collapse"))


def test_every_feature_is_cut_off() -> None:
    extreme = features(healthy(gradient_gain=1e-30, initial_loss=1e300, output_variation=1e-300))

    assert set(extreme) == set(FEATURES)
    assert all(value is None or 0 <= value <= MOST for value in extreme.values())
