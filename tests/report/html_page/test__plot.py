"""Positions on the log axis: equal ratios are equal distances, what is unknown breaks the line."""

from __future__ import annotations

import math

from gradscope.report.html_page._plot import HEIGHT, WIDTH, curve, peak, plot


def test_equal_ratios_are_equal_distances() -> None:
    ys = [p.y for p in plot([1e-4, 1e-3, 1e-2, 1e-1, 1.0]).points]
    assert ys == [HEIGHT, 0.75 * HEIGHT, 0.5 * HEIGHT, 0.25 * HEIGHT, 0.0]


def test_the_line_spans_the_width() -> None:
    xs = [p.x for p in plot([1.0] * 9).points]
    assert (xs[0], xs[-1]) == (0.0, WIDTH)


def test_what_is_unknown_breaks_the_line_and_has_no_point() -> None:
    drawn = plot([1.0, 1.0, None, 1.0])
    assert [len(line.split()) for line in drawn.lines] == [2, 1]
    assert [p.index for p in drawn.points] == [0, 1, 3]


def test_nan_is_at_the_top_zero_at_the_bottom_and_neither_is_on_the_line() -> None:
    drawn = plot([1.0, math.nan, 1.0, 0.0, math.inf])
    assert [(p.y, p.is_number) for p in drawn.points if not p.is_number] == [
        (0.0, False),
        (HEIGHT, False),
        (0.0, False),
    ]
    assert [len(line.split()) for line in drawn.lines] == [1, 1]


def test_a_flat_profile_looks_flat() -> None:
    ys = [p.y for p in plot([0.9, 1.1, 1.0]).points]
    assert max(ys) - min(ys) < 0.1 * HEIGHT


def test_ticks_are_whole_decades_and_few() -> None:
    ticks = plot([1e-60, 1.0]).ticks
    assert len(ticks) <= 7
    assert ticks[0] == (HEIGHT, -60)


def test_a_loss_curve_ends_where_it_blew_up() -> None:
    assert curve([2.0, 1.0, 0.0], 2.0) == "0.0,0.0 50.0,12.0 100.0,24.0"
    assert curve([2.0, math.nan, 1.0], 2.0) == "0.0,0.0"


def test_the_peak_is_the_largest_finite_loss() -> None:
    assert peak([1.0, math.inf, 3.0, math.nan]) == 3.0
    assert peak([]) == peak([0.0]) == 1.0
