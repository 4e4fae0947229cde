"""Parameters without a gradient."""

from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose.unreached_parameter import unreached_parameter
from tests.diagnose.profiles import chain, without_gradient


def test_fires_and_names_the_parameter() -> None:
    (finding,) = unreached_parameter(without_gradient(chain(4), parameter=2), Config())

    assert finding.layers == ("layer3.weight",)
    assert finding.evidence["unreached_share"].value == 0.25


def test_silent_when_all_are_reached_or_frozen() -> None:
    cut = without_gradient(chain(4), parameter=2)
    frozen = tuple(replace(p, trainable=p.gradient_rms is not None) for p in cut.parameters)

    assert not list(unreached_parameter(chain(4), Config()))
    assert not list(unreached_parameter(replace(cut, parameters=frozen), Config()))
