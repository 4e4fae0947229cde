"""GS104: rectifier units that are zero on the whole batch."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.schema import Finding, Profile


@diagnostic("GS104", severity="error")
def dead_relu(profile: Profile, config: Config) -> Iterator[Finding]:
    """Units of a rectifier are zero for every sample and position of the batch.

    ## Why it matters
    The derivative of such a unit is zero on all data seen: no gradient can bring it back, and its share of the
    width is lost.

    ## How it is decided
    A unit is a channel of a map or a feature of a vector. It counts as dead if its largest output on the batch
    is zero; layers with too few observations per unit to tell are left out. A warning above the first
    threshold, an error above the second.

    ## What to do
    Check for large negative biases and unscaled inputs; use a smaller learning rate, a leaky rectifier or
    normalization before the activation.

    ## References
    Lu et al. 2019, Dying ReLU and Initialization (arXiv:1903.06733).
    """
    warning, error = config.dead_relu_warning, config.dead_relu_error
    for layer in profile.layers:
        dead = layer.quantities.get("dead_fraction")
        if dead is not None and dead.is_above(warning.value):
            is_error = dead.is_above(error.value)
            yield Finding(
                code="GS104",
                name="dead-relu",
                severity="error" if is_error else "warning",
                layers=(layer.name,),
                message=f"{dead.value:.0%} of the units of {layer.label} are zero on the whole batch.",
                evidence={"dead_fraction": dead},
                threshold=error if is_error else warning,
            )
