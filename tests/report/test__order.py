"""The worst is told first, its cause before what follows from it."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import worst_first
from tests.report import fixtures


def test_severity_goes_before_role_and_role_before_the_given_order() -> None:
    base = fixtures.sick().findings[0]
    rows = [("a", "warning", "culprit"), ("b", "error", "victim"), ("c", "error", "network"), ("d", "error", "culprit")]
    rows += [("e", "error", "culprit"), ("f", "info", "culprit")]
    findings = [replace(base, code=code, severity=severity, role=role) for code, severity, role in rows]
    assert "".join(f.code for f in worst_first(findings)) == "decbaf"
