"""What the recipe of a training changes about a finding: its optimizer, loss and precision, and normalization."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from gradscope.config import Config
from gradscope.diagnose._signal import is_normalization, trunk
from gradscope.schema import Finding, Profile

Rule = Callable[[Finding, Profile, Config], Finding | None]

_SCALE_FREE = ("adam", "lion", "rmsprop", "adagrad", "adafactor", "lamb", "muon", "sophia", "prodigy", "shampoo")
_HALF = ("fp16", "float16", "half", "16", "16-mixed", "16-true")


def weighed(findings: Iterable[Finding], profile: Profile, config: Config) -> Iterator[Finding]:
    """The findings with the severity they have under this recipe; those that do not apply to it are left out."""
    for finding in findings:
        rule = _RULES.get(finding.name)
        changed = finding if rule is None else rule(finding, profile, config)
        if changed is not None:
            yield changed


def _scale_free(finding: Finding, profile: Profile, config: Config) -> Finding:
    """An optimizer that divides by the gradient's size does not see that size.

    What is lost behind normalization is then scale, not direction; the finding stays a warning, because rounding and
    the optimizer's own floor remain. Below that floor its steps shrink like those of SGD, and nothing changes.
    """
    optimizer = (config.optimizer or "").lower()
    if finding.severity != "error" or not any(name in optimizer for name in _SCALE_FREE):
        return finding
    if not any(map(is_normalization, trunk(profile))) or _least_gradient(profile) < config.optimizer_floor.value:
        return finding
    return _milder(finding, f"{config.optimizer} divides by the gradient's size, so that this slows training down")


def _least_gradient(profile: Profile) -> float:
    """Smallest gradient rms of a weight matrix that gets one."""
    sizes = [p.gradient_rms.value for p in profile.parameters if p.gradient_rms is not None and len(p.shape) > 1]
    return min((size for size in sizes if size > 0), default=0.0)


def _squared(finding: Finding, profile: Profile, config: Config) -> Finding:
    """A squared error is the square of what the output is off by: its root is what the thresholds are about."""
    ratio = finding.evidence.get("ratio")
    is_squared = "squared" in profile.loss.lower() or "mse" in profile.loss.lower()
    if (
        finding.severity == "error"
        and is_squared
        and ratio
        and math.sqrt(ratio.value) < config.initial_loss_error.value
    ):
        return _milder(finding, "in a squared error that is the square of the distance")
    return finding


def _likelihood(finding: Finding, profile: Profile, config: Config) -> Finding:
    """The derivative of a likelihood cancels that of the sigmoid before it: saturated outputs keep their gradient."""
    outputs = {profile.layers[i].name for i in profile.outputs}
    is_likelihood = any(word in profile.loss.lower() for word in ("entropy", "nll", "bce", "likelihood"))
    return replace(finding, severity="info") if is_likelihood and set(finding.layers) <= outputs else finding


def _half_precision(finding: Finding, profile: Profile, config: Config) -> Finding | None:
    """What only half precision cannot represent is nothing in other formats."""
    return finding if (config.precision or "").lower() in _HALF else None


def _milder(finding: Finding, why: str) -> Finding:
    return replace(finding, severity="warning", message=f"{finding.message} A warning only: {why}.")


_RULES: dict[str, Rule] = {
    "vanishing-gradient": _scale_free,
    "exploding-gradient": _scale_free,
    "unexpected-initial-loss": _squared,
    "saturated-activation": _likelihood,
    "underflowing-gradient": _half_precision,
    "overflowing-activation": _half_precision,
}
