"""The recipe: settings for the training to come, and the lines that put them to work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType

from gradscope.report._look import Look
from gradscope.report._words import estimate, number
from gradscope.report.terminal._page import BLANK, code, grid, heading
from gradscope.schema import Estimate, Report

_CODE = "code"


def recipe(report: Report, look: Look) -> Iterator[RenderableType]:
    """A row a setting; the lines to paste follow together."""
    if not report.recipe:
        return
    yield heading("Recipe", look)
    yield grid([(name.replace("_", " "), _settings(values, look)) for name, values in report.recipe.items()])
    lines = [str(values[_CODE]) for values in report.recipe.values() if values.get(_CODE)]
    if lines:
        yield BLANK
        yield code("\n".join(lines), look)


def _settings(values: Mapping[str, Any], look: Look) -> str:
    parts = (f"{name.replace('_', ' ')} {_value(v, look)}" for name, v in values.items() if name != _CODE)
    return f" {look.glyph('dot')} ".join(parts)


def _value(value: Any, look: Look) -> str:
    if isinstance(value, Estimate):
        return estimate(value)
    if isinstance(value, float):
        return number(value)
    return look.clean(str(value))
