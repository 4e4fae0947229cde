"""How the audit was made: inputs, loss, what was seen and what was not, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._spectra import spectra
from gradscope.report._words import count, duration, estimate, share
from gradscope.report.terminal._page import BLANK, grid, heading
from gradscope.schema import Report

_GAPS = 5
_LONG = 0.01  # share of the time from which a stage is named


def facts(report: Report, look: Look) -> Iterator[RenderableType]:
    """One row a fact; every gap is named or counted."""
    subject, coverage = report.subject, report.coverage
    mode = "training mode" if subject.training else "evaluation mode"
    yield heading(f"How this was {report.profile.origin}", look)
    rows: list[tuple[str | Text, ...]] = [
        ("input", Text.assemble(look.clean(subject.inputs), (f"  {look.clean(subject.inputs_from)}", "dim"))),
        ("loss", look.clean(subject.loss)),
        ("mode", f"{mode}, seed {subject.seed}, {subject.device}"),
    ]
    network = report.network
    if "initial_loss" in network and "expected_loss" in network:
        expected = f"  {estimate(network['expected_loss'])} expected of guessing"
        rows.append(("initial loss", Text.assemble(estimate(network["initial_loss"]), (expected, "dim"))))
    rows.extend((name, look.clean(words.replace("σ", look.glyph("sigma")))) for name, words in spectra(report))
    reached = share(coverage.parameters_reached)
    rows.append(
        (
            "coverage",
            f"{count(coverage.layers, 'layer')} by {coverage.capture}, {coverage.layers_with_spectral_norm} with a "
            f"spectral norm; {reached} of the parameters got a gradient",
        )
    )
    for gap in report.gaps[:_GAPS]:
        rows.append(("gap", Text.assemble(look.clean(gap.layer), (f"  {look.clean(gap.reason)}", "dim"))))
    if len(report.gaps) > _GAPS:
        rows.append(("", f"and {count(len(report.gaps) - _GAPS, 'more gap')}"))
    if report.seconds:
        total = sum(report.seconds.values())
        long = {name: s for name, s in report.seconds.items() if s >= _LONG * total}
        stages = ", ".join(f"{name} {duration(s)}" for name, s in long.items())
        rows.append(("time", Text.assemble(duration(total), (f"  {stages}", "dim"))))
    rows.append(("with", f"gradscope {report.environment.gradscope}, torch {report.environment.torch}"))
    yield grid(rows)
    yield BLANK
