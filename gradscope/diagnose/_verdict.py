"""The verdict: what training will do, from the profile, its findings and the trial steps."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.config import Config
from gradscope.diagnose._features import features
from gradscope.diagnose._mechanism import mechanism, taught
from gradscope.diagnose._risk import Basis, model
from gradscope.diagnose._signal import has_drawn_targets, trunk
from gradscope.learning import has_diverged, has_learned
from gradscope.schema import Attempt, Finding, Label, Profile, Verdict

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
"""What a finding says of the mechanism, the plainest first."""

_WORDS: dict[Basis, str] = {
    "statics": "one forward and backward pass",
    "example": "trial steps on the example batch",
    "batches": "trial steps on your batches",
}
_EVEN = 0.5  # the label says what is more likely than not
_LIKELY: dict[Basis, float] = {"statics": 0.7, "example": _EVEN, "batches": _EVEN}
"""Risk from which a mechanism is the label; statics alone are believed where they are plain, and unknown below it."""

_NAMES = {"adam": "Adam", "sgd": "SGD"}


def verdict(profile: Profile, findings: tuple[Finding, ...], config: Config) -> Verdict:
    """Label, risk, mechanism and conditions.

    The risk is the calibrated model's; where it is more likely than not that the model does not fully train, the
    label is the mechanism; where trial steps teach it in spite of an error, it is degraded. Without a gradient, far
    from every model whose training was seen, or where statics alone lean to a fault and no more, it is unknown.
    """
    basis = _basis(profile)
    if any(f.name == "nonfinite-value" and f.severity == "error" for f in findings):
        first = next(f for f in findings if f.name == "nonfinite-value")
        return Verdict("exploding", 1.0, first.message, 1.0, _conditions(profile.attempts), _WORDS[basis])
    if not trunk(profile) or profile.coverage.parameters_reached == 0:
        return Verdict("unknown", _EVEN, "No parameter gets a gradient, so nothing can be said of training.")
    found, fitted = features(profile), model()
    never = fitted.never[basis].probability(found)
    risk = max(never, fitted.not_fully[basis].probability(found))
    distance = fitted.seen.distance(found)
    if distance > fitted.seen.limit:
        reason = (
            f"It is unlike every model whose training was seen: {distance:.1f} away, {fitted.seen.limit:.1f} is near."
        )
        return Verdict("unknown", risk, reason, never, _conditions(profile.attempts), _WORDS[basis])
    attempts = profile.attempts if basis != "statics" else ()
    cause = mechanism(found, fitted.not_fully[basis].parts(found), attempts)
    label, reason = _judgement(risk, _LIKELY[basis], cause, findings, attempts)
    risk = max(risk, _EVEN) if label != "healthy" else risk
    return Verdict(label, risk, reason, never, _conditions(profile.attempts), _WORDS[basis])


def _basis(profile: Profile) -> Basis:
    """What the risk is told from.

    Targets that were drawn can only be learned by heart: where that has not begun after a few steps, they tell nothing.
    """
    useful = [attempt for attempt in profile.attempts if attempt.mismatched]
    if not useful or (has_drawn_targets(profile) and not any(map(has_learned, useful))):
        return "statics"
    return "batches" if useful[0].is_real else "example"


def _judgement(
    risk: float, likely: float, cause: tuple[Label, str], findings: Sequence[Finding], attempts: Sequence[Attempt]
) -> tuple[Label, str]:
    errors = [f for name in _LABELS for f in findings if f.name == name and f.severity == "error"]
    if errors and (risk >= likely or not attempts):
        return _LABELS[errors[0].name], errors[0].message
    if risk >= likely:
        return cause
    trial = taught(attempts)
    if errors:
        return "degraded", f"{errors[0].message} In spite of that, {trial}"
    if risk >= _EVEN:
        return (
            "unknown",
            f"{cause[1]} More such models fall short than not; only trial steps on real data can tell.",
        )
    return "healthy", f"Signal and gradient keep their scale through the network{'; ' if trial else '.'}{trial}"


def _conditions(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """What every attempt came to, in words."""
    return tuple(
        f"{_fate(attempt)} with {_NAMES[attempt.optimizer]} at {attempt.learning_rate:g}" for attempt in attempts
    )


def _fate(attempt: Attempt) -> str:
    if has_diverged(attempt):
        return "diverges"
    return "learns" if has_learned(attempt) else f"has not learned after {attempt.asked} steps"
