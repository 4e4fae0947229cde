"""The report as the JSON document of schema_version 1, for other programs."""

from __future__ import annotations

from gradscope.report._format import output_format
from gradscope.report._look import Look
from gradscope.schema import Report


@output_format("json", suffix=".json")
def json_document(report: Report, _: Look) -> str:
    """Every number of the report under stable keys; one that is not finite is null, with its status beside it."""
    return report.to_json() + "\n"
