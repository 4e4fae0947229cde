"""GS601: weights drawn with a scale that their fan and the activation behind them do not bear."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import families, used
from gradscope.diagnose._signal import decades, exact, is_normalization, trunk
from gradscope.schema import Finding, ParameterProfile, Profile


@diagnostic("GS601", severity="warning")
def misscaled_weight(profile: Profile, config: Config) -> Iterator[Finding]:
    """A weight's scale is not what its number of inputs and the activation behind it imply.

    ## Why it matters
    A layer multiplies the rms of what passes by the weight's rms times sqrt(fan_in), over the gain of the
    activation behind. At one, the signal keeps its size. `torch.randn` or `normal_()` without a scale is wrong by
    sqrt(fan_in); PyTorch's default for linear layers, made for one or two hidden layers, by a factor of 0.41 for
    every layer with a rectifier.

    ## How it is decided
    rms(w) * sqrt(fan_in) / gain, gain = E[f(z)^2]^(-1/2), of every weight. One layer by itself is a finding beyond
    the single-layer thresholds; layers that all data passes add up from one normalization to the next, and are a
    finding beyond the threshold in decades. In front of a normalization the scale cancels, and only a far larger one
    is a finding: the steps of an optimizer turn a weight by their length over its own.
    Small weights at the end of a residual branch, before an output or before a gate are none either, nor are scales
    that keep the gradient's variance in place of the signal's, gain / sqrt(fan_out).

    ## What to do
    `nn.init.kaiming_normal_(w, nonlinearity="relu")`, or normal_ with std = gain / sqrt(fan_in); orthogonal_ with
    that gain in very deep networks.

    ## References
    Glorot & Bengio 2010; He et al. 2015 (arXiv:1502.01852); Poole et al. 2016 (arXiv:1606.05340).
    """
    weights = {p.name: ratio for p in used(profile, _SCALED) if (ratio := _ratio(p)) is not None}
    by_name = {p.name: p for p in profile.parameters}
    above, below = config.overscaled_weight, config.underscaled_weight
    passed = {layer.name for layer in trunk(profile)}
    large = [
        by_name[name]
        for name, ratio in weights.items()
        if ratio > _limit(by_name[name], config) and not _is_for_gradients(by_name[name], above.value)
    ]
    small = [by_name[n] for n, ratio in weights.items() if 0 < ratio < below.value and _is_passed(by_name[n], passed)]
    for group, threshold, words in ((large, above, "larger"), (small, below, "smaller")):
        if group:
            worst = max(group, key=lambda p: abs(math.log(weights[p.name])))
            factor = weights[worst.name] if words == "larger" else 1 / weights[worst.name]
            yield Finding(
                code="GS601",
                name="misscaled-weight",
                severity="warning",
                layers=tuple(p.name for p in group),
                message=(
                    f"{families(group)} drawn up to {factor:.3g} times {words} than what keeps the variance; "
                    f"{worst.name} has rms {worst.rms.value:.3g} for a fan_in of {_fan(worst)}."
                ),
                evidence={"relative_scale": exact(weights[worst.name]), "rms": worst.rms},
                threshold=threshold,
            )
    named = {p.name for p in [*large, *small]}
    yield from _paths(profile, config, {n: r for n, r in weights.items() if r > 0 and n not in named})


def _ratio(parameter: ParameterProfile) -> float | None:
    """rms(w) sqrt(fan_in) / gain; None where a scale has no meaning."""
    use = parameter.use
    if use is None or use.fan_in is None or use.follower in _WAVES or not parameter.rms.is_known:
        return None
    return parameter.rms.value * math.sqrt(use.fan_in) / (use.gain or 1.0)


def _settled(parameter: ParameterProfile, ratio: float) -> float:
    """The ratio along a path, where a squashing activation lets the signal shrink until its gain is that at zero.

    For tanh every scale from 1 to 1 / rms tanh(z) keeps some variance: that is the ordered side of its critical line.
    """
    use = parameter.use
    if use is None or use.follower not in _SQUASHING or ratio >= 1:
        return ratio
    return min(1.0, ratio * (use.gain or 1.0))


def _limit(parameter: ParameterProfile, config: Config) -> float:
    is_normalized = parameter.use is not None and parameter.use.follower == "norm"
    return (config.overscaled_before_norm if is_normalized else config.overscaled_weight).value


def _is_for_gradients(parameter: ParameterProfile, above: float) -> bool:
    """Whether a scale that is too large for the signal is right for the gradient, the other choice of He et al."""
    use, ratio = parameter.use, _ratio(parameter)
    if use is None or ratio is None or not use.fan_in or not use.fan_out or use.role not in ("matrix", "residual"):
        return False
    return ratio * math.sqrt(use.fan_out / use.fan_in) <= min(above, _SLACK)


_SCALED = ("matrix", "residual", "head", "recurrent")  # vocabularies and routers are judged by their scores
_SLACK = 1.5  # gain of one activation in place of another's
_SQUASHING = ("tanh", "softsign", "hardtanh")  # odd, with slope 1 at zero
_WAVES = ("sin", "cos")  # the scale sets a frequency
_ENDS = ("output", "add", "mul", "sigmoid", "norm")  # small weights before these are a choice


def _fan(parameter: ParameterProfile) -> int | None:
    return None if parameter.use is None else parameter.use.fan_in


def _is_passed(parameter: ParameterProfile, passed: set[str]) -> bool:
    use = parameter.use
    return use is not None and use.layer in passed and use.follower not in _ENDS and use.role == "matrix"


def _paths(profile: Profile, config: Config, weights: dict[str, float]) -> Iterator[Finding]:
    """Stretches of trunk between normalizations whose draws lose or gain too much together."""
    threshold = config.misscaled_path
    by_name = {p.name: p for p in profile.parameters}
    stretch: list[ParameterProfile] = []
    for layer in [*trunk(profile), None]:
        if layer is not None and not is_normalization(layer):
            scaled = (by_name[n] for n in layer.node.parameters if n in weights)
            stretch += [p for p in scaled if p.use is not None and p.use.role == "matrix" and p.use.follower != "norm"]
            continue
        total = sum(decades(_settled(p, weights[p.name])) for p in stretch)
        if len(stretch) > 1 and abs(total) > threshold.value:
            each = 10 ** (total / len(stretch))
            yield Finding(
                code="GS601",
                name="misscaled-weight",
                severity="warning",
                layers=tuple(p.name for p in stretch),
                message=(
                    f"{len(stretch)} weights in a row ({families(stretch)}) are drawn {each:.2f} times the scale that "
                    f"keeps the variance behind their activations: {total:+.1f} decades together."
                ),
                evidence={"decades": exact(total), "relative_scale": exact(each)},
                threshold=threshold,
            )
        stretch = []
