"""The chart puts decades on a line, shows what is not a number as such, and never dramatizes."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from gradscope.report import Look
from gradscope.report.terminal._chart import chart

LOOK = Look()


def heights(values, *, width: int = 40, height: int = 4) -> list[int]:
    """Eighths of a cell that are filled, column by column."""
    levels = " " + LOOK.glyph("levels")
    drawn = chart(values, width=width, height=height, look=LOOK)
    return [sum(levels.index(row[i]) for row in drawn.rows) for i in range(len(drawn.columns))]


def test_equal_ratios_are_equal_steps() -> None:
    tops = heights([10.0**-i for i in range(9)], width=9)
    steps = {a - b for a, b in pairwise(tops[:-1])}
    assert steps == {4}  # 32 eighths over 8 decades
    assert tops[0] == 32


def test_the_axis_ends_are_the_decades_around_the_values() -> None:
    drawn = chart([3e-9, 0.2], width=20, height=4, look=LOOK)
    assert [label.strip() for label in drawn.labels] == ["1e0", "", "", "1e-9"]


def test_a_flat_profile_looks_flat() -> None:
    drawn = chart([0.9, 1.1, 1.0], width=20, height=4, look=LOOK)
    assert [label.strip() for label in drawn.labels] == ["1e1", "", "", "1e-1"]
    assert max(heights([0.9, 1.1, 1.0])) - min(heights([0.9, 1.1, 1.0])) <= 2


@pytest.mark.parametrize(("value", "sign"), [(math.nan, "×"), (math.inf, "×"), (0.0, "0"), (None, " ")])
def test_what_has_no_logarithm_is_shown_as_what_it_is(value: float | None, sign: str) -> None:
    drawn = chart([1.0, value, 1.0], width=3, height=3, look=LOOK)
    assert drawn.rows[-1][1] == sign
    assert drawn.rows[0][1] == " "


def test_more_layers_than_columns_share_them_without_losing_one() -> None:
    drawn = chart([1.0] * 205, width=50, height=2, look=LOOK)
    assert len(drawn.columns) == 50
    assert [i for column in drawn.columns for i in column] == list(range(205))


def test_a_column_of_several_layers_is_their_geometric_mean() -> None:
    assert heights([1e-4, 1.0, 1e-2, 1e-2], width=2) == heights([1e-2, 1e-2], width=2)


def test_one_bad_layer_shows_among_hundreds() -> None:
    values = [1.0] * 100 + [math.nan] + [1.0] * 100
    assert chart(values, width=40, height=3, look=LOOK).rows[-1].count("×") == 1


def test_no_values_give_an_empty_chart() -> None:
    assert chart([], width=40, height=3, look=LOOK).rows == ("", "", "")


def test_ascii_has_its_own_levels() -> None:
    drawn = chart([1e-3, 1e-2, 1e-1, 1.0], width=40, height=4, look=Look(ascii=True))
    assert "".join(drawn.rows).isascii()
    assert drawn.rows[0].strip()
