"""GS403: activations too large for half precision."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import names
from gradscope.schema import Finding, Profile


@diagnostic("GS403", severity="error")
def overflowing_activation(profile: Profile, config: Config) -> Iterator[Finding]:
    """An activation is larger than the largest number of half precision.

    ## Why it matters
    It becomes infinity, and NaN one layer later.

    ## How it is decided
    The largest magnitude of a layer's output on the batch is above 65504. It is a finding only of a training with
    `precision = "fp16"`.

    ## What to do
    Train in bfloat16; lower the scale of what comes before; keep sums, norms and softmax in single precision, as
    autocast does.

    ## References
    Micikevicius et al. 2018 (arXiv:1710.03740); IEEE 754-2019, binary16.
    """
    threshold = config.largest_half
    large = [x for x in profile.layers if x.activation and x.activation.absolute_maximum.is_above(threshold.value)]
    if large:
        first = large[0]
        assert first.activation is not None
        yield Finding(
            code="GS403",
            name="overflowing-activation",
            severity="error",
            layers=tuple(x.name for x in large),
            message=(
                f"{first.label} reaches {first.activation.absolute_maximum.value:.3g}, beyond the range of fp16; "
                f"{len(large)} layers: {names([x.label for x in large])}."
            ),
            evidence={"absolute_maximum": first.activation.absolute_maximum},
            threshold=threshold,
        )
