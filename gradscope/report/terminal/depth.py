"""The signal through depth: scale of activations and of gradients, layer by layer, as two small charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._scale import depth_layers, rms
from gradscope.report._words import count, number, tail
from gradscope.report.terminal._chart import LABEL, Chart, chart
from gradscope.report.terminal._page import BLANK, INDENT, heading
from gradscope.schema import LayerProfile, Report

_SIDE_BY_SIDE = 100  # columns from which both charts stand next to each other
_HEIGHT = 4
_GAP = 3  # columns between charts that stand side by side
_AXIS = INDENT + LABEL + 2  # columns left of the bars
_FEWEST = 2  # layers between which something can change
_ROOM = 24  # columns for two names under a short chart


def depth(report: Report, look: Look) -> Iterator[RenderableType]:
    """Both charts on log10 axes, from input to output; nothing for a single layer or if no scale is known."""
    layers = depth_layers(report.profile)
    marked = {name for f in report.findings if f.role == "culprit" and f.severity != "info" for name in f.layers}
    panels = []
    is_wide = look.width >= _SIDE_BY_SIDE
    width = ((look.width - _GAP) // 2 if is_wide else look.width) - _AXIS
    both = {"activation rms": [x.activation for x in layers], "gradient rms": [x.gradient for x in layers]}
    for title, moments in both.items():
        scales = [rms(m) for m in moments]
        if any(scale is not None for scale in scales):
            panels.append(_panel(title, layers, scales, marked=marked, width=width, look=look))
    if not panels or len(layers) < _FEWEST:
        return
    yield heading(f"Signal through depth, {count(len(layers), 'layer')} from input to output", look)
    if is_wide:
        table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        table.add_row(*panels)
        yield table
    else:
        for position, panel in enumerate(panels):
            if position:
                yield BLANK
            yield panel


def _panel(
    title: str,
    layers: Sequence[LayerProfile],
    scales: Sequence[float | None],
    *,
    marked: set[str],
    width: int,
    look: Look,
) -> Text:
    drawn = chart(scales, width=width, height=_HEIGHT, look=look)
    is_marked = [any(layers[i].name in marked for i in column) for column in drawn.columns]
    pad = " " * INDENT
    first, last = (next(s for s in order if s is not None) for order in (scales, scales[::-1]))
    text = Text.assemble(
        pad, (title, "bold"), (f"   first {number(first)} {look.glyph('arrow')} last {number(last)}\n", "dim")
    )
    for label, row in zip(drawn.labels, drawn.rows, strict=True):
        text.append(f"{pad}{label} {look.glyph('axis')}", "dim")
        for is_culprit, cells in groupby(zip(row, is_marked, strict=True), key=itemgetter(1)):
            text.append("".join(cell for cell, _ in cells), "red" if is_culprit else "cyan")
        text.append("\n")
    text.append(f"{pad}{'':>{LABEL}} {look.glyph('corner')}{look.glyph('rule') * len(drawn.columns)}\n", "dim")
    text.append(_names(layers, drawn, width, look), "dim")
    return text


def _names(layers: Sequence[LayerProfile], drawn: Chart, width: int, look: Look) -> str:
    """First and last layer under their ends of the axis."""
    room = max(len(drawn.columns), min(width, _ROOM))
    first, last = (tail(look.clean(x.label), (room - 1) // 2, more=look.glyph("more")) for x in (layers[0], layers[-1]))
    gap = " " * (room - cell_len(first) - cell_len(last))
    return " " * _AXIS + first + gap + last
