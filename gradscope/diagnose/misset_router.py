"""GS611: routers that choose the same experts for everything from the start."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import layer_of, used
from gradscope.diagnose._signal import activation_rms, exact
from gradscope.schema import Finding, Profile


@diagnostic("GS611", severity="warning")
def misset_router(profile: Profile, config: Config) -> Iterator[Finding]:
    """A mixture-of-experts router is certain before it has learned, or cannot tell its experts apart.

    ## Why it matters
    Scores of a large scale make the softmax one-hot: an expert that is not chosen gets no gradient and is not chosen
    again. Scores that are all equal make top-k pick the first experts for every token.

    ## How it is decided
    The rms of the router's scores is above the threshold, or its weight is exactly zero.

    ## What to do
    Draw the router with std 0.02 or smaller, not zero; add noise to the scores or a balancing loss.

    ## References
    Shazeer et al. 2017 (arXiv:1701.06538); Fedus et al. 2021 (arXiv:2101.03961), 2.4: a tenth of the usual scale.
    """
    threshold = config.overscaled_logits
    for parameter in used(profile, ("router",)):
        layer = layer_of(parameter, profile)
        scores = 0.0 if layer is None else activation_rms(layer)
        is_zero = parameter.rms.value == 0
        if is_zero or scores > threshold.value:
            words = "is exactly zero: all experts tie" if is_zero else f"gives scores with rms {scores:.3g}"
            yield Finding(
                code="GS611",
                name="misset-router",
                severity="warning",
                layers=(parameter.name,),
                message=f"The router {parameter.name} {words}.",
                evidence={"score_rms": exact(scores), "rms": parameter.rms},
                threshold=threshold,
            )
