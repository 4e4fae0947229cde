"""Densities in words, and in the formats that have no section of their own."""

import json

import msgspec
import pytest

from gradscope.report import render
from gradscope.report._density import COLUMNS, Row, densities, legend
from gradscope.schema import Report
from tests.report import fixtures
from tests.report.densities import HALF, ISOMETRY, report


def test_the_network_comes_first_then_the_layers_in_order() -> None:
    rows = densities(report())
    assert [x.label for x in rows] == ["network", *(x.label for x in report().layers[:3])]
    assert densities(fixtures.healthy()) == []


def test_what_cannot_be_told_from_zero_is_no_number() -> None:
    cells = Row("x", "ReLU", HALF).cells
    assert tuple(cells) == COLUMNS
    assert (cells["below 1 %"], cells["10 %"], cells["largest"]) == ("40 %", "< 0.02", "2")
    assert cells["spread of ln σ"] == "1.2 [1.1, 1.3]"
    assert Row("x", "Linear", ISOMETRY).cells["spread of ln σ"] == "0"


def test_the_legend_says_how_it_was_computed_where_it_is_not_exact() -> None:
    assert "Lanczos quadrature from 4 random vectors" in legend([Row("x", "ReLU", HALF)])
    assert "Lanczos" not in legend([Row("x", "Linear", ISOMETRY)])


@pytest.mark.parametrize("format", ["html", "markdown", "terminal"])
def test_every_format_for_people_shows_numbers_and_reasons(format: str) -> None:
    text = render(report(), format, width=120)
    for part in ("1.2 ", "nothing differentiable enters it", "dynamical isometry"):
        assert part in text
    assert "dynamical isometry" not in render(fixtures.healthy(), format)


def test_the_page_draws_a_bar_for_every_bin_that_is_not_empty() -> None:
    page = render(report(), "html")
    filled = sum(share.value > 0 for row in densities(report()) for share in row.density.shares)
    assert page.count("<rect") == filled


def test_json_has_all_of_it() -> None:
    document = json.loads(render(report(), "json"))
    assert document["density"]["shares"][0]["value"] == 0.4
    assert [bool(x["density"]) for x in document["layers"][:4]] == [True, True, True, False]
    unknown = document["layers"][2]["density"]["spread"]
    assert (unknown["value"], unknown["status"]) == (None, "not-applicable")
    assert msgspec.convert(document["layers"][0]["density"], type(ISOMETRY)) == ISOMETRY


def test_a_report_with_densities_travels() -> None:
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(report()), type=Report)
    assert densities(sent)[0].density == HALF
