"""The depth profile shows both directions, side by side where there is room."""

from __future__ import annotations

from dataclasses import replace

from gradscope.report import render
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


def test_a_single_layer_has_no_profile() -> None:
    assert "Signal through depth" not in render(fixtures.sick(1), "terminal")
    assert "Signal through depth" in render(fixtures.sick(2), "terminal")
