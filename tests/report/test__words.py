"""Numbers read the same everywhere, and a missing one says so."""

from __future__ import annotations

import math

import pytest

from gradscope.report import _words
from gradscope.schema import Estimate, Verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.55, "0.55"),
        (1234.4, "1234"),
        (0.01234, "0.0123"),
        (-0.26, "-0.26"),
        (3.14e-9, "3.1e-9"),
        (3e-9, "3e-9"),
        (2.5e7, "2.5e7"),
        (math.nan, "NaN"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_a_number_has_three_digits_and_an_exponent_only_where_needed(value: float, text: str) -> None:
    assert _words.number(value) == text


@pytest.mark.parametrize("exponent", range(-30, 31))
def test_a_number_keeps_its_value_within_five_percent(exponent: int) -> None:
    for mantissa in (1.0, 1.49, 2.345, 9.99, 9.9999):
        value = mantissa * 10.0**exponent
        assert float(_words.number(value)) == pytest.approx(value, rel=0.05)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (None, "not measured"),
        (Estimate.exact(2.0), "2"),
        (Estimate(2.0, 1.5, 2.5, "lanczos"), "2 [1.5, 2.5]"),
        (Estimate(2.0, 1.9999, 2.0001, "lanczos"), "2"),
        (Estimate(2.0, 1.5, math.inf, "lanczos"), "2 [at least 1.5]"),
        (Estimate(2.0, 0.0, math.inf, "lanczos"), "2 [no bounds]"),
        (Estimate(2.0, -math.inf, math.inf, "lanczos"), "2 [no bounds]"),
        (Estimate.exact(math.nan), "NaN"),
        (Estimate.exact(-math.inf), "-inf"),
        (Estimate.unknown("lanczos", "not-converged"), "not converged"),
        (Estimate.unknown("lanczos"), "not applicable"),
    ],
)
def test_an_estimate_shows_its_interval_or_why_it_is_unknown(estimate: Estimate | None, text: str) -> None:
    assert _words.estimate(estimate) == text


def test_a_percentage_rounds_neither_to_nothing_nor_to_everything() -> None:
    assert [_words.share(x) for x in (0.0, 1e-6, 0.5, 0.99999, 1.0)] == ["0 %", "< 0.1 %", "50 %", "> 99.9 %", "100 %"]


def test_the_first_of_many_layers_are_named_and_the_rest_counted() -> None:
    names = [f"layers.{i}" for i in range(30)]
    assert _words.some(names) == "layers.0, layers.1, layers.2 and 27 more"
    assert _words.some(names[:2]) == "layers.0, layers.1"


def test_a_long_path_keeps_its_end() -> None:
    assert _words.tail("transformer.h.11.attn.c_proj", 16) == "...1.attn.c_proj"
    assert _words.tail("fc", 16) == "fc"
    assert _words.tail("层层层层层层", 8, more="…") == "…层层层"  # each takes two cells


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0032, "3 ms"), (2.44, "2.4 s"), (72.0, "1 min 12 s"), (119.9, "2 min 0 s")]
)
def test_a_duration_is_for_humans(seconds: float, text: str) -> None:
    assert _words.duration(seconds) == text


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        ((), ""),
        (("learns",), "In trials it learns."),
        (("learns", "diverges"), "In trials it learns and diverges."),
        (("learns", "halts", "diverges"), "In trials it learns, halts and diverges."),
    ],
)
def test_conditions_are_one_sentence(conditions: tuple[str, ...], sentence: str) -> None:
    assert _words.conditions(Verdict("healthy", 0.1, "", conditions=conditions, basis="trials")) == sentence


@pytest.mark.parametrize(("value", "text"), [(0.5, "risk 0.50"), (1.0, "risk 1.00"), (math.nan, "risk not known")])
def test_a_risk_has_two_decimals(value: float, text: str) -> None:
    assert _words.risk(Verdict("healthy", value, "")) == text
