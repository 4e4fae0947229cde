"""Where and why: every finding with its layers, its evidence and the limit it is held against."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._order import worst_first
from gradscope.report._words import count, estimate, number, some
from gradscope.report.terminal._page import BLANK, STYLES, grid, heading, paragraph
from gradscope.schema import Finding, Report

_ROLES = {"culprit": "", "victim": "a consequence", "network": "of the whole network"}
_SHOWN = 8  # findings in full; the rest are counted
_EVIDENCE = 5  # numbers a finding


def findings(report: Report, look: Look) -> Iterator[RenderableType]:
    """The findings, worst first and causes before consequences; nothing for a clean report."""
    if not report.findings:
        return
    ordered = worst_first(report.findings)
    yield heading("Where and why", look)
    for position, finding in enumerate(ordered[:_SHOWN]):
        if position:
            yield BLANK
        yield from _one(report, finding, look)
    if len(ordered) > _SHOWN:
        rest = ", ".join(sorted({f"{f.code} {f.name}" for f in ordered[_SHOWN:]}))
        yield BLANK
        yield paragraph(f"and {count(len(ordered) - _SHOWN, 'more finding')}: {rest}", style="dim")
    yield BLANK
    yield paragraph(f"What they mean: gradscope explain {ordered[0].code}", style="dim")


def _one(report: Report, finding: Finding, look: Look) -> Iterator[RenderableType]:
    style, role = STYLES[finding.severity], _ROLES[finding.role]
    title = Text.assemble(
        (f"{look.glyph(finding.severity)} ", style),
        (finding.code, style),
        (f" {finding.name}", "bold"),
        (f"  {role}" if role else "", "dim"),
    )
    yield title
    yield paragraph(look.clean(finding.message))
    rows: list[tuple[str | Text, ...]] = []
    if finding.layers:
        names = [look.clean(name) for name in report.labels(finding.layers)]
        where = Text(some(names))
        where.append(f"  {look.clean(finding.source)}" if finding.source else "", "dim")
        rows.append(("layers" if len(names) > 1 else "layer", where))
    rows.extend((_label(name), estimate(value)) for name, value in list(finding.evidence.items())[:_EVIDENCE])
    if finding.threshold:
        rows.append(("limit", f"{number(finding.threshold.value)} {finding.threshold.unit}"))
    if rows:
        yield grid(rows)


def _label(name: str) -> str:
    return name.replace("_", " ")
