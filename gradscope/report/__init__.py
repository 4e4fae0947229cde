"""Report -> text: one format a file. Nothing here computes anything new, and nothing imports torch."""

from __future__ import annotations

from gradscope.report._file import write as write
from gradscope.report._format import FORMATS as FORMATS
from gradscope.report._format import Format as Format
from gradscope.report._look import Look as Look
from gradscope.report._order import worst_first as worst_first
from gradscope.schema import GradscopeError, Report


def render(report: Report, format: str, *, width: int = 80, color: bool = False, ascii: bool = False) -> str:
    """The report as text.

    Args:
        report: what an analysis returned.
        format: name of a format: "terminal", "json", ...
        width: columns of the text, in terminal cells; formats for machines ignore it, `color` and `ascii`.
        color: whether to use escape codes.
        ascii: whether to use ASCII characters only.

    Raises:
        GradscopeError: there is no such format.
    """
    if format not in FORMATS:
        raise GradscopeError(f"There is no format {format!r}; known: {', '.join(sorted(FORMATS.load()))}.")
    return FORMATS[format].render(report, Look(width, color, ascii))
