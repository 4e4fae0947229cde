"""Selecting diagnostics, ordering findings, and the verdict."""

import pytest

from gradscope import diagnose
from gradscope.config import Config
from gradscope.schema import GradscopeError
from tests.diagnose.profiles import chain, layer, profile


def test_a_healthy_chain_has_no_findings_and_a_low_risk() -> None:
    healthy = chain(30)
    found = diagnose.findings(healthy, Config())
    verdict = diagnose.verdict(healthy, found, Config())

    assert found == ()
    assert verdict.label == "healthy"
    assert verdict.risk < 0.5


@pytest.mark.parametrize(("gain", "label"), [(0.3, "vanishing"), (4.0, "exploding")])
def test_verdict_names_the_mechanism(gain: float, label: str) -> None:
    sick = chain(20, gradient_gain=gain)
    found = diagnose.findings(sick, Config())
    verdict = diagnose.verdict(sick, found, Config())

    assert verdict.label == label
    assert verdict.risk >= 0.5


def test_worst_findings_come_first_with_a_source_line() -> None:
    sick = profile([layer(i, gradient=10.0 ** (i - 9), quantities={"dead_fraction": 0.6}) for i in range(1, 10)])
    found = diagnose.findings(sick, Config())

    assert [f.code for f in found][:2] == ["GS201", "GS104"]
    assert all(f.source and f.source.startswith("model.py:") for f in found)


def test_select_and_ignore_take_codes_prefixes_and_names() -> None:
    sick = chain(20, gradient_gain=0.3)

    assert diagnose.findings(sick, Config(), select=["GS1"]) == ()
    assert [f.code for f in diagnose.findings(sick, Config(), select=["vanishing-gradient"])] == ["GS201"]
    assert diagnose.findings(sick, Config(), ignore=["GS201"]) == ()


def test_an_unknown_code_is_one_sentence() -> None:
    with pytest.raises(GradscopeError, match="No diagnostic 'GS999'; known codes: GS"):
        diagnose.findings(chain(2), Config(), ignore=["GS999"])


def test_without_a_gradient_the_verdict_is_unknown() -> None:
    blind = profile([layer(1, gradient=None), layer(2, gradient=None)])

    assert diagnose.verdict(blind, (), Config()).label == "unknown"
