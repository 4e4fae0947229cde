"""JUnit XML that parses, counts right and fails where the model does."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gradscope.report import render
from tests.report import fixtures


def suite(case: str) -> ElementTree.Element:
    return ElementTree.fromstring(render(fixtures.ALL[case](), "junit").encode())


@pytest.mark.parametrize("case", sorted(fixtures.ALL))
def test_the_counts_are_those_of_the_cases(case: str) -> None:
    xml = suite(case)
    assert int(xml.attrib["tests"]) == len(xml.findall("testcase"))
    assert int(xml.attrib["failures"]) == len(xml.findall("testcase/failure"))


def test_errors_fail_and_milder_findings_do_not() -> None:
    failed = [case.attrib["name"] for case in suite("sick").findall("testcase") if case.find("failure") is not None]
    assert failed == ["GS201 vanishing-gradient", "verdict"]


def test_a_healthy_model_is_one_passed_case() -> None:
    (case,) = suite("healthy").findall("testcase")
    assert case.attrib["name"] == "verdict"
    assert case.find("failure") is None


def test_the_failure_holds_layers_evidence_and_limit() -> None:
    failure = suite("sick").find("testcase/failure")
    assert failure is not None
    assert "slope: -0.26" in (failure.text or "")
    assert "limit: -0.1 decades per layer" in (failure.text or "")


def test_the_declared_encoding_is_the_one_that_files_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    assert render(fixtures.broken(), "junit").startswith("<?xml version='1.0' encoding='utf-8'?>")
