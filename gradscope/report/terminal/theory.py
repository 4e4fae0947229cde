"""What theory predicts: beside the measurement layer by layer, and what more depth would do."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradscope.report._look import Look
from gradscope.report._theory import Beside, beside, facts
from gradscope.report._words import maybe, tail
from gradscope.report.terminal._page import BLANK, INDENT, grid, heading
from gradscope.schema import Report


def theory(report: Report, look: Look) -> Iterator[RenderableType]:
    """Nothing without a prediction."""
    rows = facts(report)
    if not rows:
        return
    yield heading("What theory predicts", look)
    layers = beside(report)
    if layers:
        yield Padding(_table(layers, look), (0, 0, 0, INDENT), expand=False)
        yield BLANK
    yield grid([(name, Text(words)) for name, words in rows])


def _table(layers: list[Beside], look: Look) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("layer", no_wrap=True)
    for title in ("act rms", "predicted", "grad rms", "predicted"):
        table.add_column(title, justify="right", no_wrap=True)
    for x in layers:
        name = tail(look.clean(x.name), look.width // 3, more=look.glyph("more"))
        numbers = (x.activation, x.predicted_activation, x.gradient, x.predicted_gradient)
        table.add_row(Text(name), *(maybe(value) for value in numbers))
    return table
