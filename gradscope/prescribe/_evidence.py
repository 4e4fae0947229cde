"""Whether findings are gone or milder, and the numbers that show it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from gradscope.schema import SEVERITIES, Estimate, Finding, Prescription, Profile

RELIEF = 0.5
"""Share of the burden that may remain for a finding to be milder."""

SHOWN = ("initial_loss", "gradient_gain", "jacobian_spectral_norm", "output_variation")


def is_milder(prescription: Prescription, before: Sequence[Finding], after: Sequence[Finding]) -> bool:
    """Whether the most severe findings that the prescription is for are gone, or at most half as heavy."""
    meant = [f for f in before if f.code in prescription.resolves]
    if not meant:
        return False
    worst = max(SEVERITIES.index(f.severity) for f in meant)
    codes = {f.code for f in meant if SEVERITIES.index(f.severity) == worst}
    return burden([f for f in after if f.code in codes]) <= RELIEF * burden([f for f in meant if f.code in codes])


def burden(findings: Sequence[Finding]) -> float:
    """The sum over findings of severity (info 0, warning 1, error 2) times 1 + e-folds past the threshold."""
    return sum(SEVERITIES.index(f.severity) * (1 + _excess(f)) for f in findings)


def _excess(finding: Finding) -> float:
    """How far the first number of the evidence is past the threshold, as |ln(value / threshold)|."""
    first = next(iter(finding.evidence.values()), None)
    if finding.threshold is None or first is None or not first.is_known:
        return 0.0
    ratio = first.value / finding.threshold.value if finding.threshold.value else 0.0
    return abs(math.log(ratio)) if ratio > 0 else 0.0


def numbers(prescription: Prescription, profile: Profile, findings: Sequence[Finding]) -> dict[str, Estimate]:
    """Network quantities, and how many findings of each kind that the prescription is for there are."""
    counts = Counter(f.code for f in findings)
    shown = {name: profile.network[name] for name in SHOWN if name in profile.network}
    return shown | {f"{code}_findings": Estimate.exact(counts[code], "count") for code in prescription.resolves}


def summary(findings: Sequence[Finding]) -> str:
    """Codes and names of the findings that need attention: "GS302 contractive-jacobian (12)"."""
    counts = Counter(f"{f.code} {f.name}" for f in findings if f.severity != "info")
    return ", ".join(f"{name} ({n})" if n > 1 else name for name, n in counts.items())
