"""How a diagnostic is declared: one risk, in a file that has its name, whose docstring is its manual page."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gradscope.config import Config
from gradscope.registry import Registry
from gradscope.schema import Finding, Profile, Severity

Check = Callable[[Profile, Config], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A risk: `check` yields its findings; `severity` is the worst it can reach; `doc` is its manual page."""

    code: str
    name: str
    severity: Severity
    check: Check
    doc: str


DIAGNOSTICS: Registry[Diagnostic] = Registry("gradscope.diagnose")


def diagnostic(code: str, *, severity: Severity) -> Callable[[Check], Check]:
    """Declare a diagnostic; `vanishing_gradient` becomes `vanishing-gradient`."""

    def declare(check: Check) -> Check:
        name = check.__name__.replace("_", "-")
        DIAGNOSTICS.add(name, Diagnostic(code, name, severity, check, inspect.getdoc(check) or ""))
        return check

    return declare
