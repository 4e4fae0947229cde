"""A layer that is only a number is written with its type, in every format that names the layers of a finding."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.report import render
from gradscope.schema import Report
from tests.report import fixtures

NAMES = ("3", "0.2", "layers.4", "3.weight")


def numbered() -> Report:
    """The first finding names a plain `nn.Sequential`'s layers and one of its parameters."""
    report = fixtures.sick()
    layers = [replace(x, node=replace(x.node, name=n)) for x, n in zip(report.layers, NAMES[:3], strict=False)]
    finding = replace(report.findings[0], layers=NAMES)
    return replace(report, measured=replace(report.profile, layers=tuple(layers)), findings=(finding,))


def test_only_a_number_gets_its_type() -> None:
    report = numbered()
    assert report.labels(NAMES) == ["3 (Linear)", "0.2 (Linear)", "layers.4", "3.weight"]


@pytest.mark.parametrize("form", ["terminal", "html", "markdown", "junit"])
def test_people_read_the_type(form: str) -> None:
    assert "3 (Linear), 0.2 (Linear), layers.4" in render(numbered(), form, width=120)


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_programs_read_the_name(form: str) -> None:
    text = render(numbered(), form)
    assert '"3"' in text and "3 (Linear)" not in text
