"""Measured beside predicted, for every format."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
from gradscope.report._theory import beside, facts
from gradscope.schema import Estimate, Report
from tests.report import fixtures


def both() -> Report:
    """A healthy report with a prediction that is half as large everywhere."""
    report = fixtures.healthy()
    assert report.measured is not None
    layers = tuple(
        replace(
            x, activation=fixtures.moments(0.5), quantities={"activation_surprise": Estimate(2.0, 1.0, 3.0, "test")}
        )
        for x in report.measured.layers
    )
    network = {
        "fallback_share": Estimate(0.25, 0.25, 0.25, "mean-field", 8),
        "block_gradient_gain": Estimate.exact(0.5),
        "gradient_underflow_depth_float16": Estimate.exact(12.0),
    }
    predicted = replace(report.measured, origin="predicted", layers=layers, network=network)
    return replace(report, measured=replace(report.measured, layers=layers), predicted=predicted)


def test_the_share_of_operators_with_a_rule_is_told_with_every_prediction() -> None:
    assert dict(facts(both()))["operators"].startswith("75 % of 8 operator calls")


def test_the_depth_law_and_the_agreement_are_told() -> None:
    known = dict(facts(both()))

    assert known["per block"] == "gradient rms times 0.5"
    assert known["gradient underflow"] == "with more blocks: float16 after 12"
    assert known["activations"] == "typically 100 % off in rms, 0 of 6 layers inside the band"


def test_measured_and_predicted_stand_in_one_row() -> None:
    first = beside(both())[0]

    assert (first.name, first.predicted_activation) == ("layers.0", 0.5)


def test_nothing_is_said_without_a_prediction() -> None:
    assert facts(fixtures.healthy()) == [] and beside(fixtures.healthy()) == []


def test_a_static_report_says_that_it_was_predicted_and_has_no_second_column() -> None:
    static = replace(both(), measured=None)

    assert beside(static) == []
    for name in ("terminal", "markdown", "html"):
        text = render(static, name, width=100)
        assert "How this was predicted" in text and "75 % of 8" in text


def test_every_format_for_people_shows_both() -> None:
    for name in ("terminal", "markdown", "html"):
        assert "predicted" in render(both(), name, width=100)
