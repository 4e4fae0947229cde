"""The findings as workflow commands: GitHub Actions shows them as annotations of the lines they are about."""

from __future__ import annotations

from gradscope.report._format import output_format
from gradscope.report._look import Look
from gradscope.report._order import worst_first
from gradscope.report._words import estimate, risk
from gradscope.schema import Finding, Report

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}
_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


@output_format("github")
def github(report: Report, look: Look) -> str:
    """One annotation a finding, and one for the verdict."""
    answer = report.verdict
    verdict = f"{answer.label}, {risk(answer)}: {answer.reason}"
    lines = [_annotation(finding, look) for finding in worst_first(report.findings)]
    lines.append(f"::notice title=gradscope::{_escaped(look.clean(verdict), _IN_MESSAGE)}")
    return "\n".join(lines) + "\n"


def _annotation(finding: Finding, look: Look) -> str:
    properties = {"title": f"{finding.code} {finding.name}"}
    if finding.source:
        file, _, line = finding.source.rpartition(":")
        properties = {"file": file, "line": line, **properties}
    evidence = ", ".join(f"{name} {estimate(value)}" for name, value in finding.evidence.items())
    message = look.clean(f"{finding.message} ({evidence})" if evidence else finding.message)
    options = ",".join(f"{key}={_escaped(look.clean(value), _IN_PROPERTY)}" for key, value in properties.items())
    return f"::{_LEVELS[finding.severity]} {options}::{_escaped(message, _IN_MESSAGE)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return text.translate(str.maketrans(table))
