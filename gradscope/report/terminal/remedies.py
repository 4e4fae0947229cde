"""What helps: every remedy that was tried, its numbers before and after, and the code to paste."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._words import brief, count, estimate, number
from gradscope.report.terminal._page import BLANK, INDENT, STYLES, grid, heading, paragraph
from gradscope.schema import Estimate, Report, Trial, Verification

_CURVE = 6  # a loss curve takes one in so many columns of the page
_LOSS_DIGITS = 4  # losses of a trial differ little


def remedies(report: Report, look: Look) -> Iterator[RenderableType]:
    """Accepted remedies in full, the others in a line each, then the recipe."""
    accepted = [v for v in report.verifications if v.accepted]
    rejected = [v for v in report.verifications if not v.accepted]
    if accepted:
        yield heading("What helps, tried on a copy", look)
        for position, verification in enumerate(accepted, start=1):
            if position > 1:
                yield BLANK
            yield from _accepted(position, verification, look)
    if rejected:
        yield heading("What was tried and did not help", look)
        yield grid((v.remedy, look.clean(v.note)) for v in rejected)
    if report.recipe:
        yield heading("Recipe", look)
        yield grid((name.replace("_", " "), _settings(values, look)) for name, values in report.recipe.items())


def _accepted(position: int, verification: Verification, look: Look) -> Iterator[RenderableType]:
    prescription = verification.prescription
    yield Text.assemble(
        (f"{position} {verification.remedy}", STYLES["healthy"]),
        (f"  for {', '.join(prescription.resolves)}", "dim"),
    )
    yield paragraph(look.clean(prescription.rationale))
    yield grid(_numbers(verification, look))
    if verification.note:
        yield paragraph(look.clean(verification.note), style="dim")
    yield BLANK
    yield _code(prescription.code, look)


def _numbers(verification: Verification, look: Look) -> Iterator[tuple[str | Text, ...]]:
    arrow = look.glyph("arrow")
    for name, before in verification.before.items():
        if name in verification.after:
            after = verification.after[name]
            yield name.replace("_", " "), Text(f"{brief(before)} {arrow} {brief(after)}")
    for name, trial in (("loss, untouched", verification.untouched), ("loss, with this", verification.trial)):
        if trial is not None:
            yield name, _trial(trial, look)
    if verification.trial is not None:
        yield "trial", Text(_effort(verification.trial), style="dim")


def _trial(trial: Trial, look: Look) -> Text:
    return Text.assemble(
        (f"{_curve(trial.curve, look)}  ", "cyan"),
        f"{brief(trial.initial_loss, digits=_LOSS_DIGITS)} {look.glyph('arrow')} ",
        (brief(trial.final_loss, digits=_LOSS_DIGITS), "bold"),
        (f"  {trial.optimizer}, rate {number(trial.best_learning_rate)}", "dim"),
    )


def _effort(trial: Trial) -> str:
    rates = count(len(trial.learning_rates), "learning rate")
    return f"{count(trial.steps, 'step')}, {count(trial.seeds, 'seed')}, best of {rates}"


def _curve(losses: tuple[float, ...], look: Look) -> str:
    """The loss step by step, on an axis from 0 to its largest value."""
    levels = look.glyph("levels")
    step = max(1, math.ceil(len(losses) * _CURVE / look.width))
    shown = losses[::step]
    top = max((x for x in shown if x < math.inf), default=0.0) or 1.0
    return "".join(
        levels[max(0, min(len(levels) - 1, int(x / top * len(levels))))] if x < math.inf else look.glyph("times")
        for x in shown
    )


def _code(code: str, look: Look) -> RenderableType:
    """The text to paste, never wrapped: a terminal wraps it without breaking the copy."""
    indent = " " * (INDENT + 2)
    text = Text(code)
    if look.color:
        from rich.syntax import Syntax

        text = Syntax(code, "python", theme="ansi_dark", background_color="default").highlight(code)
        text.rstrip()
    lines = Text("\n").join(Text.assemble(indent, line) for line in text.split("\n"))
    lines.no_wrap, lines.overflow = True, "ignore"
    return Group(lines)  # a bare Text would be joined with its neighbours and wrapped with them


def _settings(values: Mapping[str, Any], look: Look) -> str:
    return f" {look.glyph('dot')} ".join(
        f"{key.replace('_', ' ')} {_value(value, look)}" for key, value in values.items()
    )


def _value(value: Any, look: Look) -> str:
    if isinstance(value, Estimate):
        return estimate(value)
    if isinstance(value, float):
        return number(value)
    return look.clean(str(value))
