"""The terminal report fits its page, says the verdict first, and never lets a layer's name speak to the terminal."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from gradscope.report import render
from tests.report import fixtures

ESCAPE = re.compile(r"\x1b\[[\d;]*m")


def page(case: str, **options) -> str:
    return render(fixtures.ALL[case](), "terminal", **options)


@pytest.mark.parametrize("case", sorted(fixtures.ALL))
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_no_line_is_wider_than_the_page(case: str, width: int, is_ascii: bool) -> None:
    code = fixtures.CODE.splitlines()
    too_wide = [
        line
        for line in page(case, width=width, ascii=is_ascii).splitlines()
        if cell_len(line) > width and line.strip() not in [c.strip() for c in code]
    ]
    assert not too_wide


@pytest.mark.parametrize("case", sorted(fixtures.ALL))
def test_ascii_means_ascii(case: str) -> None:
    assert page(case, ascii=True).isascii()


@pytest.mark.parametrize("case", sorted(fixtures.ALL))
def test_colour_adds_escape_codes_and_nothing_else(case: str) -> None:
    plain, colored = page(case), page(case, color=True)
    assert "\x1b" not in plain
    assert ESCAPE.search(colored)
    assert [line.rstrip() for line in ESCAPE.sub("", colored).splitlines()] == plain.splitlines()


def test_the_environment_of_the_terminal_does_not_change_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = page("sick"), page("sick", color=True)
    for name, value in {"NO_COLOR": "1", "FORCE_COLOR": "1", "COLUMNS": "40", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    assert (page("sick"), page("sick", color=True)) == expected


def test_the_verdict_comes_first() -> None:
    lines = page("sick").splitlines()
    assert lines[0] == "model.py:make_model()"
    assert "VANISHING  risk 0.97 · 1 error, 1 warning, 1 note" in lines[3]


def test_sections_come_from_question_to_answer() -> None:
    text = page("sick")
    titles = [
        "Where and why",
        "Signal through depth",
        "Worst layers",
        "What helps",
        "Not recommended",
        "Recipe",
        "How this",
    ]
    positions = [text.index(title) for title in titles]
    assert positions == sorted(positions)


def test_a_healthy_report_recommends_nothing() -> None:
    text = page("healthy")
    assert "HEALTHY  risk 0.03 · no findings" in text
    for title in ("Where and why", "Worst layers", "What helps", "Not recommended"):
        assert title not in text
