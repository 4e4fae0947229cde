"""What helps: every remedy that was tried, its numbers before and after, and the code to paste."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._words import brief, count, number
from gradscope.report.terminal._page import BLANK, INDENT, STYLES, code, grid, heading, paragraph
from gradscope.schema import Report, Trial, Verification

_CURVE = 6  # a loss curve takes one in so many columns of the page
_LOSS_DIGITS = 4  # losses of a trial differ little
_COUNTED = "_findings"  # how a verification calls the number of findings of a code


def remedies(report: Report, look: Look) -> Iterator[RenderableType]:
    """The best remedy in full, the others that helped in a line each, the rest by the reason against them."""
    accepted = [v for v in report.verifications if v.accepted]
    rejected = [v for v in report.verifications if not v.accepted]
    if accepted:
        yield heading("What helps, tried on a copy", look)
        yield from _best(accepted[0], look)
    if accepted[1:]:
        yield BLANK
        yield paragraph("Also helped; an audit written to a file has their code (-o audit.html):", style="dim")
        yield grid([_line(v, look) for v in accepted[1:]], quiet_first=False)
    if rejected:
        yield heading("Not recommended", look)
        for note, same in groupby(sorted(rejected, key=_note), key=_note):
            yield paragraph(", ".join(v.remedy for v in same))
            yield paragraph(look.clean(note), indent=2 * INDENT, style="dim")


def _note(verification: Verification) -> str:
    return verification.note


def _best(verification: Verification, look: Look) -> Iterator[RenderableType]:
    prescription = verification.prescription
    yield Text.assemble(
        (f"{look.glyph('healthy')} {verification.remedy}", STYLES["healthy"]),
        (f"  for {', '.join(prescription.resolves)}", "dim"),
    )
    yield paragraph(look.clean(prescription.rationale))
    yield grid(list(_numbers(verification, look)))
    yield BLANK
    yield code(prescription.code, look)


def _numbers(verification: Verification, look: Look) -> Iterator[tuple[str | Text, ...]]:
    arrow, after = look.glyph("arrow"), verification.after
    changes = {
        name: f"{brief(before)} {arrow} {brief(after[name])}"
        for name, before in verification.before.items()
        if name in after
    }
    for name, change in changes.items():
        if not name.endswith(_COUNTED):
            yield name.replace("_", " "), change
    counted = [f"{name.removesuffix(_COUNTED)} {change}" for name, change in changes.items() if name.endswith(_COUNTED)]
    if counted:
        yield "findings", ", ".join(counted)
    for name, trial in (("loss, untouched", verification.untouched), ("loss, with this", verification.trial)):
        if trial is not None:
            yield name, Text.assemble((f"{_curve(trial.curve, look)}  ", "cyan"), _outcome(trial, look))
    if verification.trial is not None:
        yield "trial", Text(f"{_effort(verification.trial)}; {look.clean(verification.note)}", style="dim")


def _line(verification: Verification, look: Look) -> tuple[str | Text, ...]:
    outcome = _outcome(verification.trial, look) if verification.trial else look.clean(verification.note)
    return verification.remedy, outcome


def _outcome(trial: Trial, look: Look) -> Text:
    return Text.assemble(
        f"{brief(trial.initial_loss, digits=_LOSS_DIGITS)} {look.glyph('arrow')} ",
        (brief(trial.final_loss, digits=_LOSS_DIGITS), "bold"),
        (f"  {trial.optimizer}, rate {number(trial.best_learning_rate)}", "dim"),
    )


def _effort(trial: Trial) -> str:
    rates = count(len(trial.learning_rates), "learning rate")
    return f"{count(trial.steps, 'step')}, {count(trial.seeds, 'seed')}, best of {rates}"


def _curve(losses: tuple[float, ...], look: Look) -> str:
    """The loss step by step, on an axis from 0 to its largest value."""
    levels, cross = look.glyph("levels"), look.glyph("times")
    shown = losses[:: max(1, math.ceil(len(losses) * _CURVE / look.width))]
    top = max((loss for loss in shown if math.isfinite(loss)), default=0.0) or 1.0
    return "".join(
        levels[max(0, min(len(levels) - 1, int(loss / top * len(levels))))] if math.isfinite(loss) else cross
        for loss in shown
    )
