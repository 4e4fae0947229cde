"""The layers to look at first: those that findings name, the worst on top."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._order import rank
from gradscope.report._scale import rms
from gradscope.report._words import brief, count, maybe, tail
from gradscope.report.terminal._page import INDENT, STYLES, heading
from gradscope.schema import Finding, LayerProfile, Report

_SHOWN = 8
_WIDE = 76  # columns from which every number has room


def layers(report: Report, look: Look) -> Iterator[RenderableType]:
    """A table of the layers that findings name; nothing for a clean report."""
    named: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        for name in finding.layers:
            named[name].append(finding)
    worst = sorted((x for x in report.layers if x.name in named), key=lambda x: _rank(x, named[x.name]))
    if not worst:
        return
    yield heading("Worst layers", look)
    yield Padding(_table(worst[:_SHOWN], named, look), (0, 0, 0, INDENT), expand=False)
    if len(worst) > _SHOWN:
        yield Text(f"{'':>{INDENT}}and {count(len(worst) - _SHOWN, 'more layer')}", style="dim")


def _rank(layer: LayerProfile, findings: list[Finding]) -> tuple[float, ...]:
    """Severity first, causes before consequences, then how far the gain is from one."""
    gain = layer.rms_gain
    is_usable = gain is not None and gain.is_known and gain.value > 0
    distance = abs(math.log10(gain.value)) if gain is not None and is_usable else 0.0
    return (*min(rank(f) for f in findings), -distance, layer.node.index)


def _table(worst: list[LayerProfile], named: dict[str, list[Finding]], look: Look) -> Table:
    is_wide = look.width >= _WIDE
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("layer", no_wrap=True)
    if is_wide:
        table.add_column("op", no_wrap=True)
    for title in ("act rms", "grad rms", *((f"{look.glyph('sigma')} max",) if is_wide else ()), "rms gain"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("findings", overflow="fold")
    for layer in worst:
        name = tail(look.clean(layer.name), look.width // (3 if is_wide else 4), more=look.glyph("more"))
        codes = sorted({(f.code, f.severity) for f in named[layer.name]})
        cells: list[Text | str] = [Text(name)]
        if is_wide:
            cells.append(Text(tail(look.clean(layer.node.op), 12, more=look.glyph("more")), style="dim"))
        cells += [maybe(rms(layer.activation)), maybe(rms(layer.gradient))]
        if is_wide:
            cells.append(brief(layer.spectral_norm))
        cells += [brief(layer.rms_gain), Text(" ").join(Text(code, style=STYLES[s]) for code, s in codes)]
        table.add_row(*cells)
    return table
