"""The head of the report: label, risk, reason, count of findings."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
from gradscope.schema import Verdict
from tests.report import fixtures


def test_an_unknown_risk_is_not_a_number() -> None:
    assert "? UNKNOWN  risk not known · 1 error" in render(fixtures.broken(), "terminal")


def test_only_a_healthy_model_gets_the_tick() -> None:
    assert "✓ HEALTHY" in render(fixtures.healthy(), "terminal")
    degraded = replace(fixtures.sick(), verdict=Verdict("degraded", 0.5, "x"))
    assert "✗ DEGRADED" in render(degraded, "terminal")


def test_findings_are_counted_by_severity_worst_first() -> None:
    findings = fixtures.sick().findings
    text = render(replace(fixtures.sick(), findings=findings + findings), "terminal")
    assert "2 errors, 2 warnings, 2 notes" in text
