"""GS106: the output does not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._meant import has_zero_weight, meant_decades
from gradscope.diagnose._signal import trunk
from gradscope.schema import Finding, Profile


@diagnostic("GS106", severity="error")
def prediction_of_nothing(profile: Profile, config: Config) -> Iterator[Finding]:
    """The model gives the same output whatever it is shown.

    ## Why it matters
    No gradient can connect an answer with its question: training finds the best constant and stays there.

    ## How it is decided
    The share of the output's second moment that differs between the samples of the batch is below the
    threshold. A head that starts at exactly zero, as some do on purpose, is not a finding, and where all data enter
    through branches that start at a small scale, that scale is allowed for.

    ## What to do
    Look for the first layer after which the samples agree (collapsed-correlation, dead-relu), for an input
    that is not used, and for inputs that are all the same.

    ## References
    Poole et al. 2016 (arXiv:1606.05340).
    """
    variation = profile.network.get("output_variation")
    threshold = config.prediction_of_nothing
    limit = threshold.value / 10 ** (2 * meant_decades(profile, config))  # the variation is a square
    if variation is None or not variation.is_below(limit) or has_zero_weight(profile):
        return
    path = trunk(profile)
    last = path[-1].name if path else (profile.layers[profile.outputs[0]].name if profile.outputs else "output")
    yield Finding(
        code="GS106",
        name="prediction-of-nothing",
        severity="error",
        layers=(last,),
        message=f"The output is the same for every sample: {variation.value:.1e} of it depends on the input.",
        evidence={"output_variation": variation},
        threshold=threshold,
        role="network",
    )
