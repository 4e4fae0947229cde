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
from gradscope.report._words import count, number, root, tail
from gradscope.report.terminal._chart import LABEL, Chart, chart
from gradscope.report.terminal._page import BLANK, INDENT, heading
from gradscope.schema import LayerProfile, Moments, Profile, Report

_SIDE_BY_SIDE = 100  # columns from which both charts stand next to each other
_HEIGHT = 4
_GAP = 3  # columns between charts that stand side by side
_AXIS = INDENT + LABEL + 2  # columns left of the bars
_ROOM = 24  # columns for two names under a short chart
_FEWEST = 4  # layers that make a profile


def depth(report: Report, look: Look) -> Iterator[RenderableType]:
    """Both charts on log10 axes, from input to output; nothing if no scale is known."""
    layers = _shown(report.profile)
    marked = {name for f in report.findings if f.role == "culprit" and f.severity != "info" for name in f.layers}
    panels = []
    is_wide = look.width >= _SIDE_BY_SIDE
    width = ((look.width - _GAP) // 2 if is_wide else look.width) - _AXIS
    both = {"activation rms": [x.activation for x in layers], "gradient rms": [x.gradient for x in layers]}
    for title, moments in both.items():
        scales = [_rms(m) for m in moments]
        if any(scale is not None for scale in scales):
            panels.append(_panel(title, layers, scales, marked=marked, width=width, look=look))
    if not panels:
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


def _shown(profile: Profile) -> list[LayerProfile]:
    """The layers that set the scale: sums over a fan-in, and the ends of residual branches.

    Inside a branch the scale is another one, so branches are left out where the trunk alone is long enough.
    """
    exits = {b.block.exit for b in profile.blocks}
    inside = {i for b in profile.blocks for i in b.block.nodes if i != b.block.exit}
    scaling = [x for x in profile.layers if x.node.fan_in is not None or x.node.index in exits]
    trunk = [x for x in scaling if x.node.index not in inside]
    everything = [x for x in profile.layers if x.node.kind != "input"]
    return next((layers for layers in (trunk, scaling) if len(layers) >= _FEWEST), everything)


def _rms(moments: Moments | None) -> float | None:
    if moments is None or moments.second_moment.status not in ("ok", "nonfinite"):
        return None
    return root(moments.second_moment)


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
    first, last = (tail(look.clean(x.name), (room - 1) // 2, more=look.glyph("more")) for x in (layers[0], layers[-1]))
    gap = " " * (room - cell_len(first) - cell_len(last))
    return " " * _AXIS + (f"{first}{gap}{last}" if len(layers) > 1 else first)
