"""GS103: all samples have become the same direction."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact, trunk
from gradscope.schema import Finding, Profile


@diagnostic("GS103", severity="error")
def collapsed_correlation(profile: Profile, config: Config) -> Iterator[Finding]:
    """Different inputs have become nearly the same activation: the layers behind cannot tell them apart.

    ## Why it matters
    Variances can look perfect while the correlation between samples goes to one. The network then computes a
    constant plus a tiny difference, learns the average answer quickly, and then stalls.

    ## How it is decided
    The mean cosine between the samples of the batch is taken at every trunk layer; the finding is
    1 - cosine below the threshold at the last layers, and the first layer where it falls below is named.
    A batch of random inputs is less varied than real data: give `batches(seed)` or real `example_inputs()`.

    ## What to do
    Raise the weight variance to the critical line of the activation, remove large biases, use normalization
    across the batch, add residual connections.

    ## References
    Poole et al. 2016 (arXiv:1606.05340); Schoenholz et al. 2017 (arXiv:1611.01232); Dong et al. 2021
    (arXiv:2103.03404) for attention.
    """
    threshold = config.collapsed_correlation
    known = [
        (layer, cosine)
        for layer in trunk(profile)
        if (cosine := layer.quantities.get("sample_cosine")) is not None and cosine.is_known
    ]
    if known and 1 - known[-1][1].value < threshold.value:
        first = next(layer for layer, cosine in known if 1 - cosine.value < threshold.value)
        distance = 1 - known[-1][1].value
        yield Finding(
            code="GS103",
            name="collapsed-correlation",
            severity="warning",
            layers=(first.name,),
            message=(
                f"From {first.label} on, all samples point in nearly the same direction: "
                f"1 - cosine is {distance:.2g} at {known[-1][0].label}."
            ),
            evidence={"one_minus_cosine": exact(distance)},
            threshold=threshold,
        )
