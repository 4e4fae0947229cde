"""What is known of Jacobians beside the single layers' numbers: the same few facts for every format."""

from __future__ import annotations

import math

from gradscope.report._words import brief, count, estimate, share
from gradscope.schema import Estimate, Report

_EXACT = 1e-5  # relative width of an interval that is nothing but rounding
_CERTIFIED = 0.01  # relative width up to which both ends are one number to a reader
_COUPLED = "(whole batch)"  # in the method of a layer whose samples depend on each other


def spectra(report: Report) -> list[tuple[str, str]]:
    """Name and words of every fact; nothing of what was not measured."""
    found = (
        ("Jacobian", _network(report)),
        ("growth", _growth(report)),
        ("blocks", _blocks(report)),
        ("spectral norms", _layers(report)),
    )
    return [(name, words) for name, words in found if words]


def _network(report: Report) -> str:
    """How far the network's Jacobian is from keeping lengths."""
    network, density = report.network, report.profile.density
    spread = density.spread if density and density.is_known else network.get("jacobian_log_spread")
    parts = {
        "largest singular value": network.get("jacobian_spectral_norm"),
        "rms gain": network.get("jacobian_rms_gain"),
        "stable rank": network.get("jacobian_stable_rank"),
        "spread of ln σ": spread,
    }
    known = [f"{name} {estimate(value)}" for name, value in parts.items() if value is not None and value.is_known]
    samples = network.get("jacobian_samples")
    return (
        ", ".join(known)
        + (" (0: all lengths alike)" if spread and spread.is_known else "")
        + (f"; on {count(round(samples.value), 'sample')}" if known and samples else "")
    )


def _growth(report: Report) -> str:
    """How a random change of the input grows on its way, as far as it can be followed."""
    found = [(x.label, e) for x in report.layers if (e := x.quantities.get("prefix_rms_gain"))]
    known = [(label, e) for label, e in found if e.is_known]
    if len(known) < 2:
        return ""
    (first, start), (last, end) = known[0], known[-1]
    unknown = dict.fromkeys(e.method for _, e in found if not e.is_known)
    behind = f"; behind that {', '.join(unknown)}" if unknown else ""
    vectors = count(end.n, "random vector")
    return f"rms gain from the input {brief(start)} to {first}, {brief(end)} to {last}, by {vectors}{behind}"


def _blocks(report: Report) -> str:
    blocks = [b for b in report.profile.blocks if b.spectral_norm]
    known = [(b.block.name, b.spectral_norm) for b in blocks if b.spectral_norm and b.spectral_norm.is_known]
    if not known:
        return ""
    low, high = (pick(known, key=lambda found: found[1].value) for pick in (min, max))
    ends = dict.fromkeys(f"{estimate(e)} at {name}" for name, e in (low, high))
    unknown = f"; {len(blocks) - len(known)} not known" if len(known) < len(blocks) else ""
    return f"largest singular values of {count(len(known), 'block')}: {' to '.join(ends)}{unknown}"


def _layers(report: Report) -> str:
    """How many are exact, the widest interval of the others, and whose samples are not alone."""
    known = [(x.label, e) for x in report.layers if (e := x.spectral_norm) and e.is_known]
    if not known:
        return ""
    parts = [f"{sum(_width(e) <= _EXACT for _, e in known)} of {count(len(known), 'layer')} exact"]
    label, widest = max(known, key=lambda found: _width(found[1]))
    if _EXACT < _width(widest) <= _CERTIFIED:
        parts.append(f"certified to {share(_width(widest))}: no interval is wider")
    elif _width(widest) > _CERTIFIED:
        parts.append(f"widest interval {estimate(widest)} at {label}, by {widest.method}")
    coupled = sum(e.method.endswith(_COUPLED) for _, e in known)
    if coupled:
        parts.append(f"{count(coupled, 'layer')} with batch statistics, each as one map of the whole batch")
    return "; ".join(parts)


def _width(norm: Estimate) -> float:
    """By how much the upper bound exceeds the lower one, relative to it."""
    return norm.high / norm.low - 1 if norm.low > 0 else math.inf if norm.high > 0 else 0.0
