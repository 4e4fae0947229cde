"""The few typographic means of the terminal report: headings, indented paragraphs, grids, severity styles."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradscope.report._look import Look

STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "info": "cyan",
    "healthy": "bold green",
    "unknown": "bold yellow",
    "quiet": "dim",
    "strong": "bold",
}
INDENT = 2
BLANK = Text("")


def heading(title: str, look: Look) -> RenderableType:
    """A section's title on a rule as wide as the page."""
    line = look.glyph("rule") * (look.width - len(title) - 1)
    return Text.assemble("\n", (title, "bold"), " ", (line, "dim"))


def paragraph(text: str | Text, *, indent: int = INDENT, style: str = "") -> RenderableType:
    """Wrapped text, `indent` columns from the left."""
    return Padding(Text(text) if isinstance(text, str) else text, (0, 0, 0, indent), style=style, expand=False)


def grid(rows: Sequence[tuple[str | Text, ...]], *, indent: int = INDENT, quiet_first: bool = True) -> RenderableType:
    """Columns without lines: the first never wraps, the last takes the rest of the page."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for position in range(len(rows[0])):
        is_first = position == 0
        table.add_column(no_wrap=is_first, style="dim" if is_first and quiet_first else "", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return Padding(table, (0, 0, 0, indent), expand=False)


def code(text: str, look: Look) -> RenderableType:
    """Lines to paste, never wrapped: a terminal wraps them without breaking the copy."""
    shown = Text(look.clean(text))
    if look.color:
        from rich.syntax import Syntax

        shown = Syntax(look.clean(text), "python", theme="ansi_dark", background_color="default").highlight(
            look.clean(text)
        )
        shown.rstrip()
    lines = Text("\n").join(Text.assemble(" " * 2 * INDENT, line) for line in shown.split("\n"))
    lines.no_wrap, lines.overflow = True, "ignore"
    return Group(lines)  # a bare Text would be joined with its neighbours and wrapped with them
