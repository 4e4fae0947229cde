"""GS201: the gradient dies on its way from the output to the data."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._meant import meant_decades
from gradscope.diagnose._signal import exact, gradient_decades, largest_steps, share_of
from gradscope.schema import Finding, Profile


@diagnostic("GS201", severity="error")
def vanishing_gradient(profile: Profile, config: Config) -> Iterator[Finding]:
    """The gradient loses its size on the way from the output back to the first layers.

    ## Why it matters
    The first layers get updates that are orders of magnitude smaller than the last ones. Under SGD they stay
    where they started; under Adam they move, but along a direction that rounding has already blurred. The
    network then learns what a shallow network on random features can learn, or nothing.

    ## How it is decided
    The norm of the loss gradient is followed along the trunk: the layers that every path from the data to the
    output passes, so that a residual branch that starts small on purpose is no alarm. The finding is the
    decades (powers of ten) that are lost from the output to the first layer. Ratios of weight gradients of the
    first and last layer are not used: in ReLU networks forward growth and backward decay cancel in them.
    The culprits are the layers that lose at least half as much as the one that loses most. A gradient that is
    exactly zero because a layer starts at zero is not a finding, and where all data enter through branches that start
    at a small scale, the decades of that scale are allowed for.

    ## What to do
    Initialize for the activation that really follows (He for ReLU, gain 5/3 for tanh, orthogonal weights for
    very deep nets); insert normalization; add residual connections; replace sigmoid.

    ## References
    Hochreiter 1991; Glorot & Bengio 2010; Pascanu et al. 2013 (arXiv:1211.5063); Schoenholz et al. 2017
    (arXiv:1611.01232).
    """
    total, steps = gradient_decades(profile)
    warning, error = config.vanishing_gradient_warning, config.vanishing_gradient_error
    unmeant = -total - meant_decades(profile, config)
    if unmeant > warning.value:
        culprits = largest_steps(steps, total)
        is_error = unmeant > error.value
        yield Finding(
            code="GS201",
            name="vanishing-gradient",
            severity="error" if is_error else "warning",
            layers=culprits,
            message=(
                f"The gradient loses {-total:.1f} decades over {len(steps)} layers, from the output back to "
                f"{steps[0][1].label}; {share_of(culprits, steps)}."
            ),
            evidence={"decades_lost": exact(-total), "decades_per_layer": exact(-total / len(steps))},
            threshold=error if is_error else warning,
        )
