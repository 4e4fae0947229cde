"""The page needs nothing but itself, says what the terminal says, and a layer's name cannot become markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from gradscope.report import render
from tests.report import fixtures

VOID = {"meta", "line"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and insists that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(case: str) -> Page:
    return Page(render(fixtures.ALL[case](), "html"))


@pytest.mark.parametrize("case", sorted(fixtures.ALL))
def test_the_page_is_well_formed_and_fetches_nothing(case: str) -> None:
    parsed = page(case)
    assert not {"script", "link", "img", "iframe", "object"} & set(parsed.tags)
    assert not {name for name, _ in parsed.attributes} & {"src", "href", "onclick", "onload"}
    policy = [v for n, v in parsed.attributes if n == "content"]
    assert any(value and value.startswith("default-src 'none'") for value in policy)


def test_a_name_cannot_become_markup() -> None:
    text = render(fixtures.broken(), "html").replace("weird[bold]", "")
    assert "\x1b" not in text
    from dataclasses import replace

    finding = replace(fixtures.sick().findings[1], message="<script>alert(1)</script>", layers=("<b>",))
    text = render(replace(fixtures.sick(), findings=(finding,)), "html")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_verdict_findings_remedies_and_code_are_there() -> None:
    words = " ".join(" ".join(page("sick").words).split())
    for expected in ("vanishing", "risk 0.97", "GS201", "slope", "-0.26 [-0.273, -0.247]", "orthogonal-init", "0.41"):
        assert expected in words
    assert fixtures.CODE in "".join(page("sick").words)


def test_every_plot_has_its_numbers_in_the_table() -> None:
    text = render(fixtures.sick(), "html")
    points = re.findall(r"<title>(\S+) \(Linear\): (\S+)</title>", text)
    assert len(points) == 2 * 30
    for name, value in points:
        row = re.search(rf"<tr><td>{re.escape(name)}</td>.*", text)
        assert row is not None
        assert f">{value}<" in row[0]


def test_a_layer_that_is_not_a_number_is_a_cross() -> None:
    assert "<path" in render(fixtures.broken(), "html")
    assert "<path" not in render(fixtures.sick(), "html")


def test_a_deep_model_stays_a_small_page() -> None:
    assert len(render(fixtures.ALL["deep"](), "html").encode()) < 300_000
