"""The audit says how inputs and loss were chosen, what it saw, what it missed and what it cost."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
from gradscope.schema import Gap
from tests.report import fixtures


def section(report) -> str:
    text = render(report, "terminal", width=120)
    return text[text.index("How this was measured") :]


def test_inputs_and_loss_say_where_they_come_from() -> None:
    text = section(fixtures.healthy())
    assert "float32 [16, 64]  example_inputs() in model.py" in text
    assert "cross-entropy against labels drawn with the seed, 10 classes" in text


def test_gaps_are_named_and_the_rest_counted() -> None:
    gaps = tuple(Gap(f"layer{i}", "unknown function foo") for i in range(7))
    text = section(replace(fixtures.healthy(), gaps=gaps))
    assert "layer0  unknown function foo" in text
    assert "and 2 more gaps" in text


def test_time_is_the_sum_of_the_stages_that_count() -> None:
    assert "6.1 s  load 1.2 s, measure 0.3 s, spectra 0.4 s, prescribe 4.1 s" in section(fixtures.healthy())


def test_the_initial_loss_stands_beside_that_of_guessing() -> None:
    assert "2.31  2.3 expected of guessing" in section(fixtures.healthy())
