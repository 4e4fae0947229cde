"""The section of the terminal report that shows theory."""

from gradscope.report import render
from tests.report import fixtures
from tests.report.test__theory import both


def test_the_section_stands_only_where_there_is_a_prediction() -> None:
    title = "What theory predicts"

    assert title in render(both(), "terminal")
    assert title not in render(fixtures.healthy(), "terminal")


def test_no_line_is_longer_than_the_page() -> None:
    assert max(map(len, render(both(), "terminal", width=60).splitlines())) <= 60
