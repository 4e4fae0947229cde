"""What was not seen."""

from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose.coverage_gap import coverage_gap
from gradscope.schema import Gap
from tests.diagnose.profiles import chain


def test_each_gap_is_told_and_little_reach_is_a_warning() -> None:
    source = chain(4)
    half = replace(
        source,
        gaps=(Gap("layer2", "No derivative was found."),),
        coverage=replace(source.coverage, parameters_reached=0.3),
    )

    assert sorted(f.severity for f in coverage_gap(half, Config())) == ["info", "warning"]
    assert next(f for f in coverage_gap(half, Config()) if f.severity == "info").message.endswith("was found.")
    assert not list(coverage_gap(source, Config()))
