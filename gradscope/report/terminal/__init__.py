"""The report for a person at a terminal: the verdict first, then where and why, then what helps."""

from __future__ import annotations

import io

from rich.console import Console

from gradscope.report._format import output_format
from gradscope.report._look import Look
from gradscope.report.terminal.density import density
from gradscope.report.terminal.depth import depth
from gradscope.report.terminal.facts import facts
from gradscope.report.terminal.findings import findings
from gradscope.report.terminal.layers import layers
from gradscope.report.terminal.recipe import recipe
from gradscope.report.terminal.remedies import remedies
from gradscope.report.terminal.theory import theory
from gradscope.report.terminal.verdict import verdict
from gradscope.schema import Report

_SECTIONS = (verdict, findings, depth, layers, density, theory, remedies, recipe, facts)


@output_format("terminal", suffix=".txt")
def terminal(report: Report, look: Look) -> str:
    """All sections, each separated by an empty line; no line is longer than the medium, but for code to paste."""
    console = Console(
        file=io.StringIO(),
        width=look.width,
        color_system="standard" if look.color else None,
        force_terminal=look.color,
        no_color=not look.color,
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as capture:
        for section in _SECTIONS:
            for part in section(report, look):
                console.print(part, crop=False)
    lines = (line.rstrip() for line in capture.get().splitlines())
    return "\n".join(lines).strip("\n") + "\n"
