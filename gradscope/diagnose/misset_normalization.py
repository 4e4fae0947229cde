"""GS608: normalization layers that do not start by normalizing."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import families, used
from gradscope.diagnose._signal import trunk
from gradscope.schema import Finding, ParameterProfile, Profile


@diagnostic("GS608", severity="warning")
def misset_normalization(profile: Profile, config: Config) -> Iterator[Finding]:
    """The scale of a normalization layer is drawn about zero, as if it were a weight.

    ## Why it matters
    A normalization hands on unit variance times this scale. With a scale of N(0, 0.02) the next layer gets a
    fiftieth of what it was made for, with half of the channels turned round; a loop over all parameters that
    draws every one of them does this.

    ## How it is decided
    The scale varies between channels, and its mean is closer to zero than it varies; or it is exactly zero in a layer
    that everything passes, where the signal ends. One, another constant, and draws about one are no findings, nor is
    a zero at the end of a residual branch.

    ## What to do
    Initialize by kind of module, or leave out parameters of one dimension; scales of one, biases of zero.

    ## References
    Ioffe & Szegedy 2015 (arXiv:1502.03167); Goyal et al. 2017 (arXiv:1706.02677) for zeros that are meant.
    """
    passed = {layer.name: layer for layer in trunk(profile)}
    scales = used(profile, ("norm",))
    drawn = [p for p in scales if _is_about_zero(p)]
    ended = [p for p in scales if p.rms.value == 0 and p.use is not None and _is_silent(passed.get(p.use.layer))]
    for group, words in ((drawn, "is drawn about zero"), (ended, "is zero where everything passes")):
        if group:
            draw = group[0].draw
            assert draw is not None
            yield Finding(
                code="GS608",
                name="misset-normalization",
                severity="warning",
                layers=tuple(p.name for p in group),
                message=(
                    f"The scale of {families(group)} {words}: mean {draw.mean.value:.3g}, std {draw.std.value:.3g}."
                ),
                evidence={"mean": draw.mean, "std": draw.std},
            )


def _is_about_zero(parameter: ParameterProfile) -> bool:
    draw = parameter.draw
    return draw is not None and draw.mean.n > 1 and draw.std.value > abs(draw.mean.value)


def _is_silent(layer: object) -> bool:
    """Whether a layer gives nothing but zeros: a scale of zero may also stand for 1 + scale."""
    activation = getattr(layer, "activation", None)
    return activation is not None and activation.absolute_maximum.value == 0
