"""GS302: one layer whose Jacobian shrinks the signal by an order of magnitude."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import gradient_decades, is_normalization, trunk
from gradscope.schema import Finding, Profile


@diagnostic("GS302", severity="warning")
def contractive_jacobian(profile: Profile, config: Config) -> Iterator[Finding]:
    """A layer on the trunk shrinks a typical perturbation by an order of magnitude.

    ## Why it matters
    Dynamical isometry, Jacobians with singular values near one, is what lets very deep nets train; one layer
    far from it sets a limit on the learning rate of all others.

    ## How it is decided
    The whole interval of the layer's rms gain, the root mean square of its Jacobian's singular values, is
    below the threshold. Normalizations are left out: they undo the scale of
    what came before them. It is a finding only where the network as a whole shrinks the gradient, by the decades
    that vanishing-gradient warns of: what the other layers make up for does no harm.

    ## What to do
    Raise the gain of its initializer, or use an activation with a larger derivative.

    ## References
    Saxe et al. 2014 (arXiv:1312.6120); Pennington et al. 2017 (arXiv:1711.04735).
    """
    threshold = config.contractive_jacobian
    total, _ = gradient_decades(profile)
    if -total <= config.vanishing_gradient_warning.value:
        return
    for layer in trunk(profile):
        gain = layer.rms_gain
        if gain is not None and gain.is_below(threshold.value) and gain.value > 0 and not is_normalization(layer):
            yield Finding(
                code="GS302",
                name="contractive-jacobian",
                severity="warning",
                layers=(layer.name,),
                message=f"{layer.label} shrinks a typical perturbation to {gain.value:.3g} of its size.",
                evidence={"rms_gain": gain},
                threshold=threshold,
            )
