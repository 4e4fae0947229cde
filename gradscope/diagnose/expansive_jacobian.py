"""GS301: one layer whose Jacobian stretches the signal by an order of magnitude."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import gradient_decades, is_normalization, trunk
from gradscope.schema import Finding, Profile


@diagnostic("GS301", severity="warning")
def expansive_jacobian(profile: Profile, config: Config) -> Iterator[Finding]:
    """A layer on the trunk stretches a typical perturbation by an order of magnitude.

    ## Why it matters
    Dynamical isometry, Jacobians with singular values near one, is what lets very deep nets train; one layer
    far from it sets a limit on the learning rate of all others.

    ## How it is decided
    The whole interval of the layer's rms gain, the root mean square of its Jacobian's singular values, is
    above the threshold. Normalizations are left out: they undo the scale of
    what came before them. It is a finding only where the network as a whole grows the gradient, by the decades
    that exploding-gradient warns of: what the other layers make up for does no harm.

    ## What to do
    Lower the gain of its initializer, or scale its input.

    ## References
    Saxe et al. 2014 (arXiv:1312.6120); Pennington et al. 2017 (arXiv:1711.04735).
    """
    threshold = config.expansive_jacobian
    total, _ = gradient_decades(profile)
    if total <= config.exploding_gradient_warning.value:
        return
    for layer in trunk(profile):
        gain = layer.rms_gain
        if gain is not None and gain.is_above(threshold.value) and not is_normalization(layer):
            yield Finding(
                code="GS301",
                name="expansive-jacobian",
                severity="warning",
                layers=(layer.name,),
                message=f"{layer.label} stretches a typical perturbation to {gain.value:.3g} of its size.",
                evidence={"rms_gain": gain},
                threshold=threshold,
            )
