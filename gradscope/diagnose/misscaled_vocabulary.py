"""GS610: tables of vectors whose scale drowns others or saturates the softmax over the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import layer_of, used
from gradscope.diagnose._signal import activation_rms, exact
from gradscope.schema import Finding, LayerProfile, Profile


@diagnostic("GS610", severity="warning")
def misscaled_vocabulary(profile: Profile, config: Config) -> Iterator[Finding]:
    """An embedding or its unembedding has a scale that the rest of the model does not expect.

    ## Why it matters
    `nn.Embedding` draws N(0, 1). Tied to the output layer behind a normalization it gives scores with a standard
    deviation of sqrt(width): a one-hot softmax, and a first loss many times ln(vocabulary). Added to a table of N(0,
    0.02), it buries it.

    ## How it is decided
    The rms of the scores of a layer as wide as the vocabulary; and where two looked-up vectors are added, the ratio
    of their rms.

    ## What to do
    Draw tied tables with std 0.02 or width^(-1/2); draw all tables that are added with the same scale.

    ## References
    Vaswani et al. 2017 (arXiv:1706.03762), 3.4; Press & Wolf 2017 (arXiv:1608.05859).
    """
    threshold = config.overscaled_logits
    for parameter in used(profile, ("tied", "unembedding")):
        layer = layer_of(parameter, profile)
        scores = math.nan if layer is None else activation_rms(layer)
        if scores > threshold.value:
            yield Finding(
                code="GS610",
                name="misscaled-vocabulary",
                severity="warning",
                layers=(parameter.name,),
                message=(
                    f"{parameter.name} (rms {parameter.rms.value:.3g}"
                    f"{', also the embedding' if parameter.use and parameter.use.role == 'tied' else ''}) gives scores "
                    f"with rms {scores:.3g} over the vocabulary."
                ),
                evidence={"score_rms": exact(scores), "rms": parameter.rms},
                threshold=threshold,
            )
    yield from _drowned(profile, config)


def _drowned(profile: Profile, config: Config) -> Iterator[Finding]:
    """Sums of looked-up vectors of which one is much larger than another."""
    threshold = config.drowned_embedding
    tables = {name: p for p in used(profile, ("embedding", "tied")) for name in [p.name]}
    looked_up = {
        layer.node.index: tables[name]
        for layer in profile.layers
        for name in layer.node.parameters
        if name in tables and layer.node.op.lower().startswith("embedding")
    }
    for layer in profile.layers:
        summands = [(i, profile.layers[i]) for i in layer.node.inputs if i in looked_up]
        if "add" not in layer.node.op.lower() or len(summands) < 2:
            continue
        (_, small), (index, large) = min(summands, key=_size), max(summands, key=_size)
        if activation_rms(small) > 0 and activation_rms(large) > threshold.value * activation_rms(small):
            yield Finding(
                code="GS610",
                name="misscaled-vocabulary",
                severity="warning",
                layers=(looked_up[index].name,),
                message=(
                    f"{looked_up[index].name} (rms {activation_rms(large):.3g}) buries {small.name} "
                    f"(rms {activation_rms(small):.3g}), to which it is added."
                ),
                evidence={"ratio": exact(activation_rms(large) / activation_rms(small))},
                threshold=threshold,
            )


def _size(summand: tuple[int, LayerProfile]) -> float:
    return activation_rms(summand[1])
