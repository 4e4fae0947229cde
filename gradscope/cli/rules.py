"""`gradscope rules`: every diagnostic in a line."""

from __future__ import annotations

import sys

import rich_click as click
from rich.table import Table
from rich.text import Text

from gradscope.cli._command import Exit, command
from gradscope.cli._output import look_of, put_rich

_STYLES = {"error": "red", "warning": "yellow", "info": "cyan"}


@command
@click.command()
def rules() -> int:
    """List every diagnostic: code, name, severity and what it finds."""
    from gradscope.diagnose import DIAGNOSTICS

    look = look_of(sys.stdout)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("code", "name", "severity"):
        table.add_column(title, no_wrap=True)
    table.add_column("finds", overflow="fold")
    for item in sorted(DIAGNOSTICS, key=lambda d: d.code):
        severity = Text(item.severity, style=_STYLES[item.severity])
        table.add_row(item.code, item.name, severity, look.clean(item.doc.partition("\n")[0]))
    put_rich(table)
    return Exit.CLEAN
