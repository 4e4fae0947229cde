"""GS202: the gradient grows on its way from the output to the data."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact, gradient_decades, largest_steps, share_of
from gradscope.schema import Finding, Profile


@diagnostic("GS202", severity="error")
def exploding_gradient(profile: Profile, config: Config) -> Iterator[Finding]:
    """The gradient grows on the way from the output back to the first layers.

    ## Why it matters
    One learning rate cannot serve layers whose gradients differ by orders of magnitude: what is right for the
    last layers throws the first ones out of any useful range, and the loss becomes NaN or jumps to chance.

    ## How it is decided
    As for vanishing-gradient: decades of gradient norm gained along the trunk from the output to the first
    layer, the layers that every path passes. The culprits are the layers that gain at
    least half as much as the one that gains most.

    ## What to do
    Lower the gain of the initializer; scale residual branches by 1/sqrt(depth); insert normalization (batch
    normalization without residual connections explodes by itself, by pi/(pi-1) a layer); clip gradients.

    ## References
    Pascanu et al. 2013 (arXiv:1211.5063); Yang et al. 2019 (arXiv:1902.08129) for batch normalization.
    """
    total, steps = gradient_decades(profile)
    warning, error = config.exploding_gradient_warning, config.exploding_gradient_error
    if total > warning.value:
        culprits = largest_steps(steps, total)
        is_error = total > error.value
        yield Finding(
            code="GS202",
            name="exploding-gradient",
            severity="error" if is_error else "warning",
            layers=culprits,
            message=(
                f"The gradient grows by {total:.1f} decades over {len(steps)} layers, from the output back to "
                f"{steps[0][1].label}; {share_of(culprits, steps)}."
            ),
            evidence={"decades_gained": exact(total), "decades_per_layer": exact(total / len(steps))},
            threshold=error if is_error else warning,
        )
