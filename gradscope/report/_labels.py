"""How the layers and parameters that a finding names are written."""

from __future__ import annotations

from gradscope.schema import Finding, Report


def labels(report: Report, finding: Finding) -> list[str]:
    """The names, those of layers that are only numbers with their type."""
    layers = report.profile.by_name
    return [layers[name].label if name in layers else name for name in finding.layers]
