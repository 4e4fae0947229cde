"""GS609: biases so large that the layer's output hardly depends on its input."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import beyond, layer_of, used
from gradscope.diagnose._signal import exact, names
from gradscope.schema import Finding, ParameterProfile, Profile


@diagnostic("GS609", severity="warning")
def dominating_bias(profile: Profile, config: Config) -> Iterator[Finding]:
    """Nearly all of a layer's output is its bias.

    ## Why it matters
    Every sample gives the same output, plus a remainder; behind a rectifier or a bounded activation the units are
    all dead, all linear or all saturated.

    ## How it is decided
    The mean square of the bias over that of the layer's output, of layers in front of a rectifier or another
    activation with a gain; gates, priors of output layers and biases in front of a normalization are left out.

    ## What to do
    Start biases at zero.

    ## References
    Poole et al. 2016 (arXiv:1606.05340): sigma_b; LeCun et al. 1998, Efficient BackProp.
    """
    threshold = config.dominating_bias
    found = beyond(used(profile, ("bias",)), lambda p: _share(p, profile), threshold.value)
    if found:
        worst, share = found[0]
        yield Finding(
            code="GS609",
            name="dominating-bias",
            severity="warning",
            layers=tuple(p.name for p, _ in found),
            message=(
                f"{share:.0%} of the mean square output of {worst.use.layer if worst.use else worst.name} is its bias"
                f" ({names([p.name for p, _ in found])})."
            ),
            evidence={"bias_share": exact(share), "bias_rms": worst.rms},
            threshold=threshold,
        )


def _share(parameter: ParameterProfile, profile: Profile) -> float:
    layer, use = layer_of(parameter, profile), parameter.use
    if layer is None or use is None or use.gain is None or use.follower in _GATES or layer.activation is None:
        return 0.0
    whole = layer.activation.second_moment.value
    return parameter.rms.value**2 / whole if whole > 0 else 0.0


_GATES = ("output", "add", "sigmoid", "softplus", "norm", "hardsigmoid")  # their biases are choices
