"""GS613: weights that are not drawn about zero."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import SUMMING, beyond, families, used
from gradscope.diagnose._signal import exact
from gradscope.schema import Finding, ParameterProfile, Profile


@diagnostic("GS613", severity="warning")
def off_center_weight(profile: Profile, config: Config) -> Iterator[Finding]:
    """A weight's elements have a mean that outweighs their spread.

    ## Why it matters
    The mean is a matrix of rank one. When its singular value |mean| * sqrt(fan_in * units) exceeds that of the random
    part, std * (sqrt(fan_in) + sqrt(units)), every unit sees mostly the sum of its inputs: the layer has one output
    direction. `torch.rand` does this: it draws from 0 to 1.

    ## How it is decided
    The ratio of these two singular values, in the limit of many elements. Depthwise and one-row weights have none.

    ## What to do
    Draw about zero: `torch.randn`, `uniform_(-bound, bound)`, or a function of torch.nn.init.

    ## References
    Baik, Ben Arous & Peche 2005 (arXiv:math/0403022): the mean is seen from a ratio of about one half on.
    """
    threshold = config.off_center_weight
    found = beyond(used(profile, SUMMING), _ratio, threshold.value)
    if found:
        worst, ratio = found[0]
        assert worst.draw is not None
        yield Finding(
            code="GS613",
            name="off-center-weight",
            severity="warning",
            layers=tuple(p.name for p, _ in found),
            message=(
                f"{families([p for p, _ in found])} are not drawn about zero: {worst.name} has mean "
                f"{worst.draw.mean.value:.3g} and std {worst.draw.std.value:.3g}."
            ),
            evidence={"ratio": exact(ratio), "mean": worst.draw.mean, "std": worst.draw.std},
            threshold=threshold,
        )


def _ratio(parameter: ParameterProfile) -> float:
    """Singular value of the mean over the largest one of the rest; infinite for a constant, which has its own rule."""
    draw, use = parameter.draw, parameter.use
    if draw is None or use is None or use.fan_in is None or draw.std.value == 0:
        return 0.0
    units = math.prod(parameter.shape) / use.fan_in
    if min(units, use.fan_in) <= 1:
        return 0.0
    edge = draw.std.value * (math.sqrt(use.fan_in) + math.sqrt(units))
    return abs(draw.mean.value) * math.sqrt(use.fan_in * units) / edge
