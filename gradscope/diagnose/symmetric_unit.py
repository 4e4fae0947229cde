"""GS604: units of a layer that start the same, or at nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import SUMMING, families, used
from gradscope.diagnose._signal import trunk
from gradscope.schema import Estimate, Finding, ParameterProfile, Profile, Threshold


@diagnostic("GS604", severity="error")
def symmetric_unit(profile: Profile, config: Config) -> Iterator[Finding]:
    """Units of a layer have the same weights, or some have none at all.

    ## Why it matters
    Units with the same incoming and outgoing weights compute the same, get the same gradient and stay the same: a
    layer of a thousand of them is one unit wide. Random outgoing weights break the symmetry; two such layers in
    a row never do.

    ## How it is decided
    The share of a weight's units that equal another unit bit for bit, zero units aside. Weights that are zero as a
    whole are a finding where an activation or a normalization follows, or everything passes them; at the end of a
    branch, before an output or in front of a gate zeros are a choice (Fixup, LoRA, adaLN-zero). Units that are zero
    while the others are not are a finding where these others are dense: identity, sparse and pruned weights are no
    alarm. An error where two weights of the model are symmetric.

    ## What to do
    Draw the weights at random; look for `constant_`, `ones_`, a repeated tensor, or rows that a resize has added and
    nothing has initialized.

    ## References
    Goodfellow, Bengio & Courville 2016, Deep Learning, 8.4.
    """
    threshold = config.symmetric_units
    summing = used(profile, SUMMING)
    passed = {layer.name for layer in trunk(profile)}
    nothing = [p for p in used(profile, ("matrix",)) if p.rms.value == 0 and p.trainable and _is_inside(p, passed)]
    if nothing:
        yield Finding(
            code="GS604",
            name="symmetric-unit",
            severity="warning",
            layers=tuple(p.name for p in nothing),
            message=f"{families(nothing)} start at exactly zero inside the network: all their units are the same.",
            evidence={"rms": nothing[0].rms},
            threshold=threshold,
        )
    candidates = [p for p in [*summing, *used(profile, ("embedding",))] if p.trainable and p.rms.value > 0]
    equal = [p for p in candidates if _share(p).is_above(threshold.value)]
    if equal:
        is_error = len([p for p in equal if p.use is not None and p.use.role in _INNER]) > 1
        yield _finding(equal, "error" if is_error else "warning", threshold)
    gaps = [p for p in [*summing, *used(profile, ("embedding",))] if _has_gaps(p, config)]
    if gaps:
        worst = max(gaps, key=lambda p: _zero_share(p).value)
        yield Finding(
            code="GS604",
            name="symmetric-unit",
            severity="warning",
            layers=tuple(p.name for p in gaps),
            message=(
                f"{_zero_share(worst).value:.1%} of the units of {worst.name} are exactly zero, the others are not: "
                f"part of it was never initialized ({families(gaps)})."
            ),
            evidence={"zero_units": _zero_share(worst)},
            threshold=threshold,
        )


_GATES = ("sigmoid", "softplus", "hardsigmoid", "add", "output")  # in front of these a zero is a choice


def _is_inside(parameter: ParameterProfile, passed: set[str]) -> bool:
    use = parameter.use
    if use is None or use.follower in _GATES:
        return False
    return use.gain is not None or use.follower == "norm" or use.layer in passed


_INNER = ("matrix", "residual", "recurrent")


def _finding(equal: list[ParameterProfile], severity: str, threshold: Threshold) -> Finding:
    worst = max(equal, key=lambda p: _share(p).value)
    return Finding(
        code="GS604",
        name="symmetric-unit",
        severity="error" if severity == "error" else "warning",
        layers=tuple(p.name for p in equal),
        message=(
            f"{_share(worst).value:.0%} of the units of {worst.name} have the same weights as another one; "
            f"symmetric weights: {families(equal)}."
        ),
        evidence={"duplicate_units": _share(worst)},
        threshold=threshold,
    )


def _share(parameter: ParameterProfile) -> Estimate:
    """Share of the units that equal another one, those that are zero left out."""
    assert parameter.draw is not None
    same, zero = parameter.draw.duplicate_units, parameter.draw.zero_units
    if not same.is_known or not zero.is_known:
        return same
    return Estimate.exact(max(0.0, same.value - zero.value), same.method, same.n)


def _zero_share(parameter: ParameterProfile) -> Estimate:
    assert parameter.draw is not None
    return parameter.draw.zero_units


def _has_gaps(parameter: ParameterProfile, config: Config) -> bool:
    """Whether some units are zero beside dense ones; the row of an embedding that stands for padding may be."""
    draw = parameter.draw
    assert draw is not None
    share = draw.zero_units
    if not share.is_known or not 0 < share.value < 1:
        return False
    units = parameter.shape[0]
    is_padding = draw.padding_rms is not None and share.value * units <= 1
    others = (draw.zero_fraction.value - share.value) / (1 - share.value)
    is_role_of_one_row = parameter.use is not None and parameter.use.role in ("embedding", "tied")
    is_one_row = is_role_of_one_row and share.value * units <= 1  # kept for padding without saying so
    return others < config.symmetric_units.value and not is_padding and not is_one_row
