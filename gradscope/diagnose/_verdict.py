"""The verdict: what training will do, from the profile and its findings."""

from __future__ import annotations

import math

from gradscope.config import Config
from gradscope.diagnose._signal import gradient_decades, trunk
from gradscope.schema import Finding, Label, Profile, Verdict

_LABELS: dict[str, Label] = {
    "nonfinite-value": "exploding",
    "exploding-gradient": "exploding",
    "exploding-activation": "exploding",
    "unexpected-initial-loss": "exploding",
    "vanishing-gradient": "vanishing",
    "vanishing-activation": "vanishing",
    "prediction-of-nothing": "vanishing",
    "collapsed-correlation": "vanishing",
    "dead-relu": "degraded",
    "saturated-activation": "degraded",
}
_DECADE_SLOPE = 2.2  # odds grow ninefold per decade beyond a threshold


def verdict(profile: Profile, findings: tuple[Finding, ...], config: Config) -> Verdict:
    """Label, risk and mechanism.

    The label is the mechanism of the worst error; several warnings that agree make "degraded". Without a
    gradient there is nothing to judge: unknown.
    """
    if not trunk(profile):
        return Verdict("unknown", 0.5, "No gradient was seen, so nothing can be said of training.")
    errors = [f for f in findings if f.severity == "error" and f.name in _LABELS]
    warnings = [f for f in findings if f.severity == "warning" and f.name in _LABELS]
    risk = _risk(profile, findings, config)
    if errors:
        order = list(_LABELS)
        worst = min(errors, key=lambda f: order.index(f.name))
        return Verdict(_LABELS[worst.name], max(risk, 0.5), worst.message)
    if warnings:
        return Verdict("degraded", risk, warnings[0].message)
    if profile.coverage.parameters_reached == 0:
        return Verdict("unknown", 0.5, "No parameter gets a gradient, so nothing can be said of training.")
    return Verdict("healthy", risk, "Signal and gradient keep their scale through the network.")


def _risk(profile: Profile, findings: tuple[Finding, ...], config: Config) -> float:
    if any(f.name in ("nonfinite-value", "prediction-of-nothing") for f in findings):
        return 1.0
    total, _ = gradient_decades(profile)
    beyond = [-total - config.vanishing_gradient_error.value, total - config.exploding_gradient_error.value]
    initial, expected = profile.network.get("initial_loss"), profile.network.get("expected_loss")
    if initial and expected and initial.is_known and expected.is_known and min(initial.value, expected.value) > 0:
        beyond.append(math.log10(initial.value / expected.value / config.initial_loss_error.value))
    risk = 1 / (1 + math.exp(-_DECADE_SLOPE * max(beyond)))
    return max(risk, 0.5 if any(f.severity == "error" for f in findings) else 0.0)
