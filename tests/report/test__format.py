"""A format is found by its name, and every one renders every report."""

from __future__ import annotations

import pytest

from gradscope.report import FORMATS, render
from gradscope.schema import GradscopeError
from tests.report import fixtures


@pytest.mark.parametrize("name", sorted(FORMATS.load()))
@pytest.mark.parametrize("case", sorted(fixtures.ALL))
def test_every_format_renders_every_report(name: str, case: str) -> None:
    text = render(fixtures.ALL[case](), name)
    assert text.endswith("\n")
    assert "\x1b" not in text


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(GradscopeError, match=r"no format 'yaml'; known: .*json.*terminal"):
        render(fixtures.healthy(), "yaml")


def test_suffixes_are_unambiguous() -> None:
    suffixes = [f.suffix for f in FORMATS if f.suffix]
    assert sorted(set(suffixes)) == sorted(suffixes)
