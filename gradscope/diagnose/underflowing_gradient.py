"""GS402: gradients too small for half precision."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact, names
from gradscope.schema import Finding, LayerProfile, Profile


@diagnostic("GS402", severity="error")
def underflowing_gradient(profile: Profile, config: Config) -> Iterator[Finding]:
    """Half precision rounds a good part of a layer's gradient to zero.

    ## Why it matters
    A gradient below 2^-25 is zero in binary16. What is behind such a layer learns from a part of its gradient, or
    from none, and no norm that is measured in single precision shows it.

    ## How it is decided
    From the rms of every layer's gradient, zeros left out, the share of normally distributed elements below the
    smallest number that is not rounded to zero: erf(2^-25 / (rms sqrt(2))). It is a finding only of a training with
    `precision = "fp16"`: bfloat16 has the range of single precision.

    ## What to do
    Scale the loss (`torch.amp.GradScaler`), or train in bfloat16.

    ## References
    Micikevicius et al. 2018 (arXiv:1710.03740); IEEE 754-2019, binary16.
    """
    threshold = config.flushed_gradient
    layers = {layer.name: layer for layer in profile.layers}
    shares = {name: _flushed(layer, config) for name, layer in layers.items()}
    lost = [name for name, share in shares.items() if share > threshold.value]
    if lost:
        worst = max(lost, key=lambda name: shares[name])
        yield Finding(
            code="GS402",
            name="underflowing-gradient",
            severity="error",
            layers=tuple(lost),
            message=(
                f"In fp16 {shares[worst]:.0%} of the gradient at {layers[worst].label} is zero; "
                f"{len(lost)} layers: {names([layers[name].label for name in lost])}."
            ),
            evidence={"flushed_share": exact(shares[worst])},
            threshold=threshold,
        )


def _flushed(layer: LayerProfile, config: Config) -> float:
    """Share of a layer's gradient that binary16 rounds to zero; 0 where there is none, or nothing but zeros."""
    moments = layer.gradient
    if moments is None or not moments.second_moment.is_known or moments.second_moment.value == 0:
        return 0.0
    rms = math.sqrt(moments.second_moment.value / (1 - moments.zero_fraction.value))
    return math.erf(config.smallest_half.value / (rms * math.sqrt(2)))
