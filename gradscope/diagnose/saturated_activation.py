"""GS105: bounded activations at their bounds."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.schema import Finding, Profile


@diagnostic("GS105", severity="warning")
def saturated_activation(profile: Profile, config: Config) -> Iterator[Finding]:
    """Most outputs of a bounded activation sit at its bounds.

    ## Why it matters
    The derivative there is nearly zero: the gradient is lost at this layer for all but a few units.

    ## How it is decided
    The share of outputs within three per cent of the range's ends, |tanh| > 0.97 or a sigmoid outside
    [0.03, 0.97], is above the threshold.

    ## What to do
    Lower the gain of the layer before it, standardize the inputs, or insert normalization before it.

    ## References
    Glorot & Bengio 2010.
    """
    threshold = config.saturated_activation
    for layer in profile.layers:
        saturated = layer.quantities.get("saturated_fraction")
        if saturated is not None and saturated.is_above(threshold.value):
            yield Finding(
                code="GS105",
                name="saturated-activation",
                severity="warning",
                layers=(layer.name,),
                message=f"{saturated.value:.0%} of the outputs of {layer.label} are saturated.",
                evidence={"saturated_fraction": saturated},
                threshold=threshold,
            )
