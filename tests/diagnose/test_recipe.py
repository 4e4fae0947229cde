"""Severity under a recipe: optimizer, loss, precision, normalization."""

from dataclasses import replace

import pytest

from gradscope import diagnose
from gradscope.config import Config
from gradscope.schema import Estimate, Profile
from tests.diagnose.profiles import chain, layer, profile


def normalized(source: Profile) -> Profile:
    """The same network with a normalization at its third layer."""
    layers = [*source.layers]
    layers[3] = replace(layers[3], node=replace(layers[3].node, op="LayerNorm"))
    return replace(source, layers=tuple(layers))


def severity(source: Profile, code: str, config: Config) -> str | None:
    return next((f.severity for f in diagnose.findings(source, config) if f.code == code), None)


@pytest.mark.parametrize(("gain", "code"), [(0.3, "GS201"), (4.0, "GS202")])
@pytest.mark.parametrize("optimizer", [None, "sgd", "adamw"])
@pytest.mark.parametrize("has_norm", [True, False])
def test_a_gradient_behind_normalization_is_a_warning_under_adam(
    gain: float, code: str, optimizer: str | None, has_norm: bool
) -> None:
    sick = chain(20, gradient_gain=gain)
    expected = "warning" if optimizer == "adamw" and has_norm else "error"

    assert severity(normalized(sick) if has_norm else sick, code, Config(optimizer=optimizer)) == expected


def test_below_the_floor_of_adam_it_stays_an_error() -> None:
    sick = normalized(chain(20, gradient_gain=0.3))
    tiny = tuple(replace(p, gradient_rms=Estimate.exact(1e-12)) for p in sick.parameters)

    assert severity(replace(sick, parameters=tiny), "GS201", Config(optimizer="adam")) == "error"


@pytest.mark.parametrize(("loss", "expected"), [("mean squared error, given targets", "warning"), ("huber", "error")])
def test_a_squared_error_is_weighed_by_its_root(loss: str, expected: str) -> None:
    loud = replace(profile([layer(1), layer(2)], initial_loss=30.0, expected_loss=1.0), loss=loss)

    assert severity(loud, "GS501", Config()) == expected


def test_a_squared_error_can_still_be_an_error() -> None:
    loud = replace(profile([layer(1)], initial_loss=100.0, expected_loss=1.0), loss="MSELoss, given")

    assert severity(loud, "GS501", Config()) == "error"


@pytest.mark.parametrize(("loss", "expected"), [("binary_cross_entropy, given", "info"), ("MSELoss, given", "warning")])
def test_saturated_outputs_keep_the_gradient_of_a_likelihood(loss: str, expected: str) -> None:
    saturated = profile([layer(1), layer(2, op="Sigmoid", quantities={"saturated_fraction": 0.9})])
    inside = profile([layer(1, op="Sigmoid", quantities={"saturated_fraction": 0.9}), layer(2)])

    assert severity(replace(saturated, loss=loss), "GS105", Config()) == expected
    assert severity(replace(inside, loss=loss), "GS105", Config()) == "warning"
