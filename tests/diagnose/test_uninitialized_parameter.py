"""Parameters that nothing wrote."""

from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose.uninitialized_parameter import uninitialized_parameter
from gradscope.schema import Estimate
from tests.diagnose.profiles import chain


def test_fires_for_a_parameter_that_was_never_written() -> None:
    base = chain(2)
    first = replace(base.parameters[0], rms=Estimate.unknown("never initialized"))
    profile = replace(base, origin="predicted", parameters=(first, *base.parameters[1:]))

    (finding,) = uninitialized_parameter(profile, Config())

    assert finding.severity == "error"
    assert finding.layers == ("layer1",)


def test_silent_where_all_were_written() -> None:
    assert not list(uninitialized_parameter(replace(chain(2), origin="predicted"), Config()))
