"""`gradscope explain CODE`: the manual page of a diagnostic."""

from __future__ import annotations

import sys

import rich_click as click
from rich.console import Group
from rich.text import Text

from gradscope.cli._command import Exit, command
from gradscope.cli._output import look_of, put, put_rich


@command
@click.command()
@click.argument("rules", nargs=-1, required=True, metavar="CODE...")
def explain(rules: tuple[str, ...]) -> int:
    """Print the manual page of a diagnostic, by code (GS201) or by name (vanishing-gradient)."""
    from gradscope.diagnose import find

    found = [d for rule in rules for d in sorted(find(rule), key=lambda d: d.code)]
    look = look_of(sys.stdout)
    if look.color:
        from rich.markdown import Markdown

        put_rich(Group(*(part for d in found for part in (Text(f"{d.code} {d.name}", "bold"), Markdown(d.doc)))))
    else:
        put(look.clean("\n".join(f"# {d.code} {d.name}\n\n{d.doc}\n" for d in found)))
    return Exit.CLEAN
