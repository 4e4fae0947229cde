"""Profile -> findings and the verdict. Pure functions; torch is never imported here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose._diagnostic import DIAGNOSTICS, Diagnostic
from gradscope.diagnose._recipe import weighed
from gradscope.diagnose._verdict import verdict
from gradscope.schema import SEVERITIES, Finding, GradscopeError, Profile

__all__ = ["DIAGNOSTICS", "Diagnostic", "find", "findings", "verdict"]


def findings(
    profile: Profile, config: Config, *, select: Collection[str] = (), ignore: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Every finding of the selected diagnostics, the worst first.

    Args:
        profile: what was measured or predicted.
        config: thresholds.
        select: codes, code prefixes or names to run; all if empty.
        ignore: codes, code prefixes or names to leave out.

    Raises:
        GradscopeError: `select` or `ignore` names no diagnostic.
    """
    chosen = [d for d in DIAGNOSTICS if (not select or matches(d, select)) and not matches(d, ignore)]
    for pattern in (*select, *ignore):
        find(pattern)
    sources = {layer.name: layer.node.source for layer in profile.layers}
    found = [
        replace(finding, source=next((sources[n] for n in finding.layers if sources.get(n)), None))
        for diagnostic in chosen
        for finding in weighed(diagnostic.check(profile, config), profile, config)
    ]
    return tuple(sorted(found, key=lambda f: (-SEVERITIES.index(f.severity), f.code)))


def matches(diagnostic: Diagnostic, patterns: Collection[str]) -> bool:
    """Whether one of the patterns is this diagnostic's name, its code or the beginning of its code."""
    return any(diagnostic.name == p.lower() or diagnostic.code.startswith(p.upper()) for p in patterns if p)


def find(pattern: str) -> list[Diagnostic]:
    """The diagnostics that a name, a code or the beginning of a code stands for.

    Raises:
        GradscopeError: there is none.
    """
    found = [d for d in DIAGNOSTICS if matches(d, [pattern])]
    if not found:
        known = ", ".join(d.code for d in DIAGNOSTICS)
        raise GradscopeError(f"No diagnostic {pattern!r}; known codes: {known} (`gradscope rules` lists them).")
    return found
