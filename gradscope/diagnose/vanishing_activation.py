"""GS101: the activations shrink with depth."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import activation_decades, exact, largest_steps, share_of
from gradscope.schema import Finding, Profile


@diagnostic("GS101", severity="warning")
def vanishing_activation(profile: Profile, config: Config) -> Iterator[Finding]:
    """The activations shrink layer by layer, and no normalization brings them back.

    ## Why it matters
    What is left of the signal drowns in biases and rounding; the gradients of the weights, which are products
    with these activations, shrink with them.

    ## How it is decided
    The root mean square of the output is followed along the trunk and starts anew at every normalization. The
    finding is the largest number of decades lost between two normalizations, or between one and the output.

    ## What to do
    Initialize with the gain of the activation that follows (He et al. 2015); PyTorch's default for nn.Linear
    and nn.Conv2d, variance 1 / (3 fan_in), loses half a decade every one or two layers. Or insert normalization.

    ## References
    He et al. 2015 (arXiv:1502.01852); Poole et al. 2016 (arXiv:1606.05340).
    """
    threshold = config.vanishing_activation
    for total, steps in activation_decades(profile):
        if -total > threshold.value:
            culprits = largest_steps(steps, total)
            yield Finding(
                code="GS101",
                name="vanishing-activation",
                severity="warning",
                layers=culprits,
                message=(
                    f"The activations shrink by {-total:.1f} decades over {len(steps)} layers, "
                    f"from {steps[0][1].label} to {steps[-1][1].label}; {share_of(culprits, steps)}."
                ),
                evidence={"decades_lost": exact(-total), "decades_per_layer": exact(-total / len(steps))},
                threshold=threshold,
            )
