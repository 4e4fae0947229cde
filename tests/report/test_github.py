"""Annotations point at the line, in the format that workflow commands have."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
from tests.report import fixtures


def test_an_annotation_has_level_file_line_and_title() -> None:
    error, warning, info, verdict = render(fixtures.sick(), "github").splitlines()
    assert error.startswith("::error file=model.py,line=10,title=GS201 vanishing-gradient::The gradient shrinks")
    assert warning.startswith("::warning title=GS401 unexpected-initial-loss::")
    assert info.startswith("::notice title=GS103 collapsed-correlation::")
    assert verdict.startswith("::notice title=gradscope::vanishing, risk 0.97: ")


def test_what_would_end_a_command_is_escaped() -> None:
    finding = replace(fixtures.sick().findings[1], message="100 %\n::error::x", source="a,b:c.py:3")
    line, _ = render(replace(fixtures.sick(), findings=(finding,)), "github").splitlines()
    assert line.startswith("::error file=a%2Cb%3Ac.py,line=3,title=")
    assert "::100 %25%0A::error::x" in line
