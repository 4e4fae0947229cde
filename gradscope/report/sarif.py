"""The findings as SARIF 2.1.0, which code-scanning services read."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import msgspec

from gradscope.report._format import output_format
from gradscope.report._look import Look
from gradscope.schema import Finding, Report

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


@output_format("sarif", suffix=".sarif")
def sarif(report: Report, _: Look) -> str:
    """One run with one result a finding; layers are logical locations."""
    rules = {f.code: {"id": f.code, "name": f.name} for f in report.findings}
    driver = {"name": "gradscope", "version": report.environment.gradscope, "rules": list(rules.values())}
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding) for finding in report.findings],
        "properties": {"verdict": report.verdict},
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def _result(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": name, "kind": "module"} for name in finding.layers]
    }
    if finding.source:
        file, _, line = finding.source.rpartition(":")
        path = PurePath(file)
        uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": {"startLine": int(line)}}
    return {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [location],
        "properties": {"evidence": finding.evidence, "role": finding.role},
    }
