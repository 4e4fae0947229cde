"""Densities of singular values that were asked for: a line of bars and the numbers behind it, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradscope.report._density import COLUMNS, TITLE, Row, densities, legend
from gradscope.report._look import Look
from gradscope.report._words import count, tail
from gradscope.report.terminal._page import BLANK, INDENT, heading, paragraph
from gradscope.schema import Density, Report

_SHOWN = 24  # the rest are counted
_SHOWN_FROM = {115: COLUMNS, 70: ("median", COLUMNS[-1]), 0: COLUMNS[-1:]}  # what has room from so many columns on
_TAKEN = {len(COLUMNS): 95, 2: 57, 1: 47}  # columns that bars and so many numbers take at most
_LEAST = 10  # columns of a name
_FAINT = 0.05  # of a level: less shows as nothing


def density(report: Report, look: Look) -> Iterator[RenderableType]:
    """Nothing where none was asked for; a layer without one says why."""
    rows = densities(report)
    if not rows:
        return
    yield heading(TITLE, look)
    known = [x for x in rows if x.density.is_known]
    if known:
        yield Padding(_table(known[:_SHOWN], look), (0, 0, 0, INDENT), expand=False)
    if len(known) > _SHOWN:
        yield paragraph(f"and {count(len(known) - _SHOWN, 'more layer')}; -o audit.html has all", style="dim")
    for x in rows:
        if not x.density.is_known:
            reason = look.clean(x.density.spread.method)
            yield paragraph(Text.assemble(look.clean(x.label), (f"  no density: {reason}", "dim")))
    yield BLANK
    yield paragraph(legend(rows).replace("σ", look.glyph("sigma")), style="dim")


def _table(rows: Sequence[Row], look: Look) -> Table:
    titles = next(titles for width, titles in _SHOWN_FROM.items() if look.width >= width)
    room = max(_LEAST, look.width - INDENT - _TAKEN[len(titles)])
    names = [tail(look.clean(x.label), room, more=look.glyph("more")) for x in rows]
    if len(set(names)) < len(names):  # what tells them apart was cut off
        names = [look.clean(x.label) for x in rows]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False, pad_edge=False)
    table.add_column("layer", overflow="fold", max_width=room)
    table.add_column("density", no_wrap=True, style="cyan")
    for title in titles:
        is_last = title == titles[-1]
        table.add_column(title.replace("σ", look.glyph("sigma")), justify="left" if is_last else "right", no_wrap=True)
    for name, x in zip(names, rows, strict=True):
        table.add_row(*map(Text, (name, _bars(x.density, look), *(x.cells[title] for title in titles))))
    return table


def _bars(density: Density, look: Look) -> str:
    """A bin a column, on a linear axis from 0 to the largest share."""
    levels, top = look.glyph("levels"), max(share.value for share in density.shares)
    heights = [math.ceil(len(levels) * bin.value / top - _FAINT) for bin in density.shares]
    return "".join(levels[height - 1] if height > 0 else " " for height in heights)
