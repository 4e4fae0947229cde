"""The lines of bars."""

from dataclasses import replace

import pytest

from gradscope.report import Look, render
from gradscope.report.terminal.density import density
from tests.report import fixtures
from tests.report.densities import report


def section(width: int, *, ascii: bool = False) -> str:
    text = render(report(), "terminal", width=width, ascii=ascii)
    return text[text.index("Singular values") : text.index("How this was")]


def test_an_isometry_is_one_bar_at_the_right_and_dead_units_one_at_the_left() -> None:
    lines = section(80).splitlines()
    isometry, half = (next(x for x in lines if label in x) for label in (report().layers[0].label, "network"))
    assert isometry.count("█") == 1
    assert half.index("█") < half.index("▁") < half.index("▄") < half.index("1.2 [")
    starts = {x.index("█") for x in lines if "█" in x}
    assert max(starts) - min(starts) == 19, "bins of all rows stand below each other"


@pytest.mark.parametrize("width", [60, 69, 70, 80, 100, 115, 120])
def test_no_number_is_cut(width: int) -> None:
    text = section(width)
    assert "1.2 [1.1, 1.3]" in text
    assert "…" not in text.splitlines()[2]
    assert max(map(len, text.splitlines())) <= width


def test_names_that_end_alike_are_written_out() -> None:
    layers = report().layers
    long = [f"decoder.layers.{i}.self_attention.scaled_dot_product_attention_1" for i in range(3)]
    renamed = tuple(replace(x, node=replace(x.node, name=n)) for x, n in zip(layers, long, strict=False))
    measured = report().measured
    assert measured is not None
    named = replace(report(), measured=replace(measured, layers=renamed))
    lines = "".join(line[2:23].strip() for line in render(named, "terminal", width=80).splitlines())
    assert all(name in lines for name in long[:2])


def test_ascii_has_bars_too() -> None:
    text = section(80, ascii=True)
    assert text.isascii()
    assert "|" in text or "#" in text


def test_it_is_silent_where_none_was_asked_for() -> None:
    assert list(density(fixtures.healthy(), Look())) == []
