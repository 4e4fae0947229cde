"""The first lines: what was audited, and in one sentence whether it will train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._words import conditions, count, risk
from gradscope.report.terminal._page import BLANK, STYLES, paragraph
from gradscope.schema import SEVERITIES, Report

_PLURALS = {"error": "errors", "warning": "warnings", "info": "notes"}
_SINGULARS = {"error": "error", "warning": "warning", "info": "note"}


def verdict(report: Report, look: Look) -> Iterator[RenderableType]:
    """Model, label, risk, mechanism and the number of findings."""
    subject, answer, dot = report.subject, report.verdict, f" {look.glyph('dot')} "
    size = count(subject.parameters, "parameter")
    yield Text.assemble((look.clean(subject.target), "bold"))
    yield Text(dot.join((look.clean(subject.class_name), size, subject.dtype)), style="dim")
    yield BLANK
    sign = answer.label if answer.label in ("healthy", "unknown") else "error"
    yield Text.assemble(
        (f"{look.glyph(sign)} {answer.label.upper()}", STYLES[sign]), f"  {risk(answer)}", (dot + _tally(report), "dim")
    )
    yield paragraph(look.clean(answer.reason))
    if answer.conditions:
        yield paragraph(look.clean(conditions(answer)))


def _tally(report: Report) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    parts = [count(counts[s], _SINGULARS[s], _PLURALS[s]) for s in reversed(SEVERITIES) if counts[s]]
    return ", ".join(parts) or "no findings"
