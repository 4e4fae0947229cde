"""Activation scale along the trunk."""

from gradscope.config import Config
from gradscope.diagnose.exploding_activation import exploding_activation
from tests.diagnose.profiles import chain, layer, profile


def test_fires_on_a_plain_network() -> None:
    (finding,) = exploding_activation(chain(12, activation_gain=4.0), Config())

    assert finding.severity == "warning"
    assert "layer" in finding.message


def test_a_normalization_starts_anew() -> None:
    path = [layer(i, activation=4.0 ** (i % 4), op="LayerNorm" if i % 4 == 0 else "Linear") for i in range(1, 40)]

    assert not list(exploding_activation(profile(path), Config()))


def test_silent_at_constant_scale_and_in_the_other_direction() -> None:
    assert not list(exploding_activation(chain(50), Config()))
    assert not list(exploding_activation(chain(12, activation_gain=1 / 4.0), Config()))
