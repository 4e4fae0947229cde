"""Findings name layers, numbers and limits, worst first and causes before consequences."""

from __future__ import annotations

import re
from dataclasses import replace

from gradscope.report import render
from tests.report import fixtures


def section(report, **options) -> str:
    text = render(report, "terminal", **options)
    return text[text.index("Where and why") : text.index("Signal through depth")]


def test_the_worst_comes_first() -> None:
    assert re.findall(r"GS\d+(?= \w)", section(fixtures.sick())) == ["GS201", "GS401", "GS103"]


def test_layers_evidence_and_limit_stand_together() -> None:
    text = section(fixtures.sick(), width=120)
    assert "layers.0, layers.2, layers.4 and 27 more  model.py:10" in text
    assert re.search(r"slope +-0\.26 \[-0\.273, -0\.247\]", text)
    assert re.search(r"limit +-0\.1 decades per layer\n", text)


def test_causes_come_before_consequences() -> None:
    culprit = fixtures.sick().findings[1]
    victim = replace(culprit, code="GS202", role="victim")
    text = section(replace(fixtures.sick(), findings=(victim, culprit)))
    assert text.index("GS201") < text.index("GS202")
    assert "a consequence" in text


def test_findings_beyond_the_page_are_counted_and_named() -> None:
    finding = fixtures.sick().findings[1]
    many = tuple(replace(finding, code=f"GS2{i:02d}") for i in range(12))
    text = section(replace(fixtures.sick(), findings=many))
    assert "and 4 more findings: GS208 vanishing-gradient, GS209" in text


def test_unknown_evidence_says_why() -> None:
    text = section(fixtures.broken())
    assert re.search(r"share +NaN", text)
    assert re.search(r"bound +not converged", text)
    assert re.search(r"maximum +inf", text)
