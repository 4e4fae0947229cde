"""Decades gained on the way back."""

from gradscope.config import Config
from gradscope.diagnose.exploding_gradient import exploding_gradient
from tests.diagnose.profiles import chain, layer, profile


def test_fires_and_names_the_layers_that_gain_it() -> None:
    path = [layer(i, gradient=1e6 if i < 5 else 1.0) for i in range(1, 10)]
    (finding,) = exploding_gradient(profile(path), Config())

    assert finding.severity == "error"
    assert finding.layers == ("layer5",)


def test_silent_when_the_gradient_keeps_its_size_or_shrinks() -> None:
    assert not list(exploding_gradient(chain(50), Config()))
    assert not list(exploding_gradient(chain(50, gradient_gain=0.5), Config()))
