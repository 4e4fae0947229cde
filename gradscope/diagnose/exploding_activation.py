"""GS102: the activations grow with depth."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import activation_decades, exact, largest_steps, share_of
from gradscope.schema import Finding, Profile


@diagnostic("GS102", severity="warning")
def exploding_activation(profile: Profile, config: Config) -> Iterator[Finding]:
    """The activations grow layer by layer, and no normalization brings them back.

    ## Why it matters
    The output starts far out of scale, the loss and its gradient with it; bounded activations saturate, and
    half precision overflows at 65504.

    ## How it is decided
    The root mean square of the output is followed along the trunk and starts anew at every normalization. The
    finding is the largest number of decades gained between two normalizations, or between one and the output.

    ## What to do
    Lower the gain of the initializer to that of the activation; scale each of L residual branches by
    1/sqrt(L) or start its last layer at zero; insert normalization.

    ## References
    He et al. 2015 (arXiv:1502.01852); Zhang et al. 2019 (Fixup, arXiv:1901.09321); Hanin & Rolnick 2018
    (arXiv:1803.01719).
    """
    threshold = config.exploding_activation
    for total, steps in activation_decades(profile):
        if total > threshold.value:
            culprits = largest_steps(steps, total)
            yield Finding(
                code="GS102",
                name="exploding-activation",
                severity="warning",
                layers=culprits,
                message=(
                    f"The activations grow by {total:.1f} decades over {len(steps)} layers, "
                    f"from {steps[0][1].label} to {steps[-1][1].label}; {share_of(culprits, steps)}."
                ),
                evidence={"decades_gained": exact(total), "decades_per_layer": exact(total / len(steps))},
                threshold=threshold,
            )
