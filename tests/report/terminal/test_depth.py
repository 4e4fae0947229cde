"""The depth profile shows both directions, side by side where there is room."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
from gradscope.schema import Block, BlockProfile
from tests.report import fixtures


def section(report, **options) -> list[str]:
    lines = render(report, "terminal", **options).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Signal through depth"))
    return lines[start:]


def test_both_ends_are_named_and_numbered() -> None:
    text = "\n".join(section(fixtures.sick()))
    assert "activation rms   first 1 → last 0.0471" in text
    assert "gradient rms   first 5.9e-10 → last 0.02" in text
    assert "layers.0    " in text
    assert "layers.58" in text


def test_a_wide_page_has_both_charts_in_one_row() -> None:
    assert any("activation rms" in line and "gradient rms" in line for line in section(fixtures.sick(), width=120))
    assert not any("activation rms" in line and "gradient rms" in line for line in section(fixtures.sick(), width=80))


def test_layers_without_weights_are_left_out_where_enough_have_some() -> None:
    base = fixtures.sick(5)
    relu = fixtures.layer(5, "act", activation=1.0, gradient=1.0, op="ReLU")
    profile = replace(base.profile, layers=(*base.layers, relu))
    assert "5 layers" in section(replace(base, measured=profile))[0]


def test_branches_are_left_out_where_the_trunk_is_long_enough() -> None:
    base = fixtures.sick(8)
    block = BlockProfile(Block("layers.6", "residual", entry=1, exit=3, nodes=(2, 3)))
    assert "8 layers" in section(base)[0]
    assert "7 layers" in section(replace(base, measured=replace(base.profile, blocks=(block,))))[0]


def test_without_gradients_there_is_no_gradient_chart() -> None:
    base = fixtures.healthy()
    profile = replace(base.profile, layers=tuple(replace(x, gradient=None) for x in base.layers))
    text = "\n".join(section(replace(base, measured=profile)))
    assert "activation rms" in text
    assert "gradient rms" not in text


def test_without_any_scale_there_is_no_section() -> None:
    base = fixtures.healthy()
    profile = replace(base.profile, layers=tuple(replace(x, gradient=None, activation=None) for x in base.layers))
    assert "Signal through depth" not in render(replace(base, measured=profile), "terminal")
