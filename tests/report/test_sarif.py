"""SARIF with a rule, a level and both kinds of location for every finding."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from gradscope.report import render
from gradscope.schema import Report
from tests.report import fixtures


def run(report: Report) -> dict[str, Any]:
    document = json.loads(render(report, "sarif"))
    assert document["version"] == "2.1.0"
    (only,) = document["runs"]
    return only


def test_every_result_refers_to_a_declared_rule() -> None:
    sick = run(fixtures.sick())
    rules = {rule["id"] for rule in sick["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in sick["results"]} == rules == {"GS201", "GS401", "GS103"}


def test_a_result_has_level_line_and_layers() -> None:
    result = next(r for r in run(fixtures.sick())["results"] if r["ruleId"] == "GS201")
    (location,) = result["locations"]
    assert result["level"] == "error"
    assert location["physicalLocation"] == {"artifactLocation": {"uri": "model.py"}, "region": {"startLine": 10}}
    assert location["logicalLocations"][0] == {"fullyQualifiedName": "layers.0", "kind": "module"}


def test_paths_are_uris() -> None:
    finding = replace(fixtures.sick().findings[1], source="my models/a.py:3")
    (result,) = run(replace(fixtures.sick(), findings=(finding,)))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "my%20models/a.py"


def test_a_healthy_model_has_no_results() -> None:
    assert run(fixtures.healthy())["results"] == []
