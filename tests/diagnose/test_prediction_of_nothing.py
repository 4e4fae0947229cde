"""An output that ignores its input."""

from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose.prediction_of_nothing import prediction_of_nothing
from gradscope.schema import Estimate
from tests.diagnose.profiles import chain


def test_fires_when_all_samples_get_the_same_answer() -> None:
    sick = chain(3)
    sick.network["output_variation"] = Estimate.exact(0.0)
    (finding,) = prediction_of_nothing(sick, Config())

    assert finding.severity == "error"
    assert finding.layers == ("layer3",)


def test_silent_when_answers_differ_or_nothing_is_known() -> None:
    unknown = chain(3)
    unknown.network["output_variation"] = Estimate.unknown("one sample")

    assert not list(prediction_of_nothing(chain(3), Config()))
    assert not list(prediction_of_nothing(unknown, Config()))


def test_a_head_that_starts_at_zero_is_meant() -> None:
    source = chain(3)
    source.network["output_variation"] = Estimate.exact(0.0)
    head = replace(source.parameters[-1], rms=Estimate.exact(0.0))

    assert not list(prediction_of_nothing(replace(source, parameters=(*source.parameters[:-1], head)), Config()))
