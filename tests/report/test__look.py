"""What a user named a layer cannot steer the terminal."""

from __future__ import annotations

from gradscope.report import Look


def test_escape_codes_of_a_name_become_visible_text() -> None:
    assert Look().clean("a\x1b[31mb\u202ec\td") == "a\\x1b[31mb\\u202ec\\td"


def test_newlines_stay() -> None:
    assert Look().clean("a\nb") == "a\nb"


def test_unicode_stays_unless_only_ascii_can_be_shown() -> None:
    assert Look().clean("层") == "层"
    assert Look(ascii=True).clean("层") == "\\u5c42"


def test_every_glyph_has_an_ascii_twin() -> None:
    for name in ("error", "healthy", "arrow", "levels", "more", "corner"):
        assert Look(ascii=True).glyph(name).isascii()
        assert Look().glyph(name)
