"""GS608: normalization layers that do not start by normalizing."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import families, layer_of, used
from gradscope.diagnose._signal import trunk
from gradscope.schema import Finding, ParameterProfile, Profile


@diagnostic("GS608", severity="warning")
def misset_normalization(profile: Profile, config: Config) -> Iterator[Finding]:
    """A normalization layer does not start with a scale of one and a shift of zero.

    ## Why it matters
    A normalization hands on unit variance times its scale, plus its shift. With a scale of N(0, 0.02), as a loop over
    all parameters draws it, the next layer gets a fiftieth of what it was made for, half of the channels turned
    round. A shift as large as the scale makes every sample look alike.

    ## How it is decided
    The scale varies between channels by more than its mean; or it is one other number than one in all channels; or it
    is zero where the layer's output is zero too and a weight follows or everything passes. Zero at the end of a branch
    is a choice, and so are draws about one. The shift is a finding beside a scale of one that still is as it was
    initialized, where its rms is above the threshold.

    ## What to do
    Initialize by kind of module, or leave out parameters of one dimension; scales of one, shifts of zero.

    ## References
    Ioffe & Szegedy 2015 (arXiv:1502.03167); Goyal et al. 2017 (arXiv:1706.02677) for zeros that are meant.
    """
    passed = {layer.name for layer in trunk(profile)}
    scales = used(profile, ("norm",))
    untouched = {p.use.layer for p in scales if p.use is not None and _is_constant(p, 1.0)}
    shifts = [p for p in used(profile, ("bias",)) if p.use is not None and p.use.layer in untouched]
    groups = {
        "scale varies about zero": [p for p in scales if _is_about_zero(p)],
        "scale is not one": [p for p in scales if _is_another_number(p)],
        "scale is zero, and the signal ends there": [p for p in scales if _is_end(p, profile, passed)],
        "shift is not zero": [p for p in shifts if p.rms.is_above(config.shifted_normalization.value)],
    }
    for words, group in groups.items():
        if group:
            draw = group[0].draw
            assert draw is not None
            yield Finding(
                code="GS608",
                name="misset-normalization",
                severity="warning",
                layers=tuple(p.name for p in group),
                message=f"{families(group)}: the {words} (mean {draw.mean.value:.3g}, std {draw.std.value:.3g}).",
                evidence={"mean": draw.mean, "std": draw.std},
                threshold=config.shifted_normalization,
            )


def _is_constant(parameter: ParameterProfile, value: float) -> bool:
    draw = parameter.draw
    return draw is not None and draw.std.value == 0 and draw.mean.value == value


def _is_about_zero(parameter: ParameterProfile) -> bool:
    draw = parameter.draw
    return draw is not None and draw.mean.n > 1 and draw.std.value > abs(draw.mean.value)


def _is_another_number(parameter: ParameterProfile) -> bool:
    draw = parameter.draw
    return draw is not None and draw.mean.n > 1 and draw.std.value == 0 and draw.mean.value not in (0.0, 1.0)


def _is_end(parameter: ParameterProfile, profile: Profile, passed: set[str]) -> bool:
    """Whether a scale is zero, means it, and ends more than a branch: a scale of zero may also stand for 1 + scale."""
    layer, use = layer_of(parameter, profile), parameter.use
    if use is None or layer is None or layer.activation is None or parameter.rms.value != 0:
        return False
    is_silent = layer.activation.absolute_maximum.value == 0
    return is_silent and (use.layer in passed or use.follower.startswith(("linear", "conv")))
