"""What a text may use on its medium: how many columns, whether colour, whether more than ASCII."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_GLYPHS = {  # name: (rich, ASCII)
    "error": ("✗", "x"),
    "warning": ("!", "!"),
    "info": ("·", "-"),
    "healthy": ("✓", "+"),
    "unknown": ("?", "?"),
    "rule": ("─", "-"),
    "dot": ("·", "-"),
    "arrow": ("→", "->"),
    "times": ("×", "x"),
    "more": ("…", "..."),
    "sigma": ("σ", "sigma"),
    "axis": ("│", "|"),
    "corner": ("└", "+"),
    "mark": ("▲", "^"),
    "levels": ("▁▂▃▄▅▆▇█", ".:|#"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """The medium of a text.

    Attributes:
        width: columns, counted in terminal cells.
        color: whether escape codes for colour and weight may be used.
        ascii: whether only ASCII characters may be used.
    """

    width: int = 80
    color: bool = False
    ascii: bool = False

    def glyph(self, name: str) -> str:
        """The sign for `name` that this medium can show."""
        return _GLYPHS[name][self.ascii]

    def clean(self, text: str) -> str:
        """Text of the user's, made harmless: no control or bidirectional characters, ASCII where asked for."""
        shown = "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else _escape(c) for c in text)
        return shown.encode("ascii", "backslashreplace").decode() if self.ascii else shown


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
