"""GS190: the measured scale of layers is not what theory says of such a model."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import names
from gradscope.schema import Estimate, Finding, LayerProfile, Profile, Threshold

_KINDS = ("activation", "gradient")


@diagnostic("GS190", severity="info")
def unexpected_moment(profile: Profile, config: Config) -> Iterator[Finding]:
    """Activations or gradients are much larger or smaller than mean-field theory predicts for this model.

    ## Why it matters
    Theory knows every layer and the distribution of its weights, but takes weights as independent and inputs as
    random. Where the measurement leaves the predicted band, one of these does not hold: the layers are narrow, inputs
    resemble each other, weights are trained or shared in a way that was not seen, or the forward pass does something
    else than intended.

    ## How it is decided
    The measured second moment of a layer's output, or of its gradient, lies outside the predicted interval (two
    standard deviations over initializations) by more than the threshold in bits, for at least a share of all layers.
    A change of the whole scale counts once: the layers named are those where it begins. A prediction that had to
    guess an operator is not held against the model.

    ## What to do
    Look at the layers named, first in order: is every sum, scale and mask meant to be there? For trained weights,
    real or repeated inputs and layers narrower than about 64 it is to be expected.

    ## References
    Poole et al. 2016 (arXiv:1606.05340); Schoenholz et al. 2017 (arXiv:1611.01232); Hanin & Nica 2020
    (arXiv:1812.05994) for the spread at finite width.
    """
    guessed = profile.network.get("prediction_fallback_share")
    if guessed is None or guessed.value > 0:
        return
    for kind in _KINDS:
        known = {x.node.index: e for x in profile.layers if (e := x.quantities.get(f"{kind}_surprise"))}
        outside = {i: bits for i, e in known.items() if (bits := _beyond(e)) > config.unexpected_moment.value}
        if len(outside) < max(1.0, config.diverging_layers.value * len(known)):
            continue
        begins = [x for x in profile.layers if x.node.index in outside and _begins(x, outside, kind, profile)]
        worst = max(outside, key=outside.__getitem__)
        yield _finding(kind, begins, known[worst], (len(outside), len(known)), config.unexpected_moment)


def _beyond(surprise: Estimate) -> float:
    """Bits from zero to the nearer end of the interval; zero where the interval holds it."""
    return max(surprise.low, -surprise.high, 0.0)


def _begins(layer: LayerProfile, outside: dict[int, float], kind: str, profile: Profile) -> bool:
    """Whether what comes before the layer, in the direction of the signal, is still as predicted."""
    if kind == "activation":
        return not any(i in outside for i in layer.node.inputs)
    return not any(layer.node.index in x.node.inputs for x in profile.layers if x.node.index in outside)


def _finding(
    kind: str, begins: list[LayerProfile], worst: Estimate, count: tuple[int, int], limit: Threshold
) -> Finding:
    layers = tuple(dict.fromkeys(x.name for x in begins))
    size = "larger" if worst.value > 0 else "smaller"
    what = "Activations" if kind == "activation" else "Gradients"
    return Finding(
        code="GS190",
        name="unexpected-moment",
        severity="info",
        layers=layers,
        message=(
            f"{what} of {count[0]} of {count[1]} layers are {size} than theory predicts, up to "
            f"{2 ** (abs(worst.value) / 2):.1f} times in rms, beginning at {names(layers)}: narrow layers, inputs that "
            "resemble each other, trained or tied weights, or a mistake in the forward pass."
        ),
        evidence={"bits_measured_over_predicted": worst},
        threshold=limit,
    )
