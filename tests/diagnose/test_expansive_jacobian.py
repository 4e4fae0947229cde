"""The gain of single layers."""

from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose.expansive_jacobian import expansive_jacobian
from gradscope.schema import Estimate
from tests.diagnose.profiles import layer, moments, profile


def found(op: str, gain: Estimate) -> list[str]:
    sick = replace(layer(1, op=op), rms_gain=gain)
    return [f.name for f in expansive_jacobian(profile([replace(sick, gradient=moments(1e4)), layer(2)]), Config())]


def test_fires_when_the_whole_interval_is_beyond() -> None:
    assert found("Linear", Estimate.exact(50.0)) == ["expansive-jacobian"]
    assert found("Linear", Estimate(50.0, 0.001, 1000.0, "probes")) == []


def test_silent_on_a_moderate_gain_an_unknown_one_and_a_normalization() -> None:
    assert found("Linear", Estimate.exact(2.0)) == []
    assert found("Linear", Estimate.unknown("no derivative")) == []
    assert found("LayerNorm", Estimate.exact(50.0)) == []


def test_a_gain_that_the_network_makes_up_for_is_no_finding() -> None:
    odd = replace(layer(1), rms_gain=Estimate.exact(50.0))

    assert not list(expansive_jacobian(profile([odd, layer(2)]), Config()))
