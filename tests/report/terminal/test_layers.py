"""The table holds the layers that findings name, causes on top."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
from tests.report import fixtures


def rows(report, **options) -> list[str]:
    lines = render(report, "terminal", **options).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Worst layers"))
    return lines[start + 1 : next(i for i in range(start, len(lines)) if not lines[i])]


def test_causes_stand_above_consequences() -> None:
    culprit, *_ = (f for f in fixtures.sick().findings if f.role == "culprit")
    findings = (replace(culprit, layers=("layers.8",)), replace(culprit, layers=("layers.0",), role="victim"))
    first, second = rows(replace(fixtures.sick(), findings=findings))[1:]
    assert first.split()[0] == "layers.8"
    assert second.split()[0] == "layers.0"


def test_a_row_holds_scales_gain_and_codes() -> None:
    row = rows(fixtures.sick())[1].split()
    assert row == ["layers.0", "Linear", "1", "5.9e-10", "1.04", "0.55", "GS201"]


def test_a_narrow_page_keeps_the_numbers_that_decide() -> None:
    assert rows(fixtures.sick(), width=60)[1].split() == ["layers.0", "1", "5.9e-10", "0.55", "GS201"]


def test_the_rest_is_counted() -> None:
    assert rows(fixtures.sick())[-1].strip() == "and 22 more layers"
