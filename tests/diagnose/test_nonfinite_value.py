"""Where NaN is born."""

from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose.nonfinite_value import nonfinite_value
from tests.diagnose.profiles import layer, moments, profile


def test_forward_birth_is_named_not_what_it_infects() -> None:
    path = [replace(layer(i), activation=moments(1.0, nonfinite=0.5 if i >= 3 else 0.0)) for i in range(1, 6)]
    (finding,) = nonfinite_value(profile(path), Config())

    assert finding.layers == ("layer3",)
    assert "first" in finding.message


def test_backward_birth_is_the_layer_whose_own_gradient_is_finite() -> None:
    path = [replace(layer(i), gradient=moments(1.0, nonfinite=1.0 if i <= 2 else 0.0)) for i in range(1, 6)]
    (finding,) = nonfinite_value(profile(path), Config())

    assert finding.layers == ("layer3",)
    assert "backward" in finding.message


def test_silent_when_all_is_finite() -> None:
    assert not list(nonfinite_value(profile([layer(1), layer(2)]), Config()))


def test_infinities_that_a_softmax_absorbs_are_no_birth() -> None:
    masked = [layer(1), replace(layer(2), activation=moments(1.0, nonfinite=0.4)), layer(3, op="softmax"), layer(4)]
    spoiled = [replace(layer(1), gradient=moments(1.0, nonfinite=1.0)), *masked[1:]]

    assert not list(nonfinite_value(profile(masked), Config()))
    assert list(nonfinite_value(profile(spoiled), Config()))
