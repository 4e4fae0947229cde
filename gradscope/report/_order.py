"""In which order findings are told: the worst first, and causes before consequences."""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.schema import SEVERITIES, Finding, Role

_ROLES: tuple[Role, ...] = ("culprit", "network", "victim")


def rank(finding: Finding) -> tuple[int, int]:
    """Smaller is told earlier."""
    return -SEVERITIES.index(finding.severity), _ROLES.index(finding.role)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """By severity, then by role; equals keep their order."""
    return sorted(findings, key=rank)
