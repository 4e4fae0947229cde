"""GS401: NaN or infinity, and where it was born."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact
from gradscope.schema import Finding, Moments, Profile


@diagnostic("GS401", severity="error")
def nonfinite_value(profile: Profile, config: Config) -> Iterator[Finding]:
    """A layer produces NaN or infinity, in the forward or in the backward pass.

    ## Why it matters
    One step with it destroys every weight it reaches.

    ## How it is decided
    Forward: a layer whose output has non-finite values while all its inputs are finite. Backward: a layer that
    receives a finite gradient at its output and passes a non-finite one on. Only these births are named, not
    what they infect. Infinities that everything behind turns into finite numbers with finite gradients are none:
    masked attention scores are minus infinity until the softmax.

    ## What to do
    Look at the named layer: division by zero, log or sqrt of zero (its derivative is infinite), overflow of
    exp, fully masked attention rows.

    ## References
    IEEE 754; PyTorch numerical accuracy notes.
    """
    layers = profile.layers
    spreading = _spreading(profile)
    for layer in layers:
        is_born = not any(_share(layers[i].activation) > 0 for i in layer.node.inputs)
        if _share(layer.activation) > 0 and is_born and layer.node.index in spreading:
            share = _share(layer.activation)
            yield Finding(
                code="GS401",
                name="nonfinite-value",
                severity="error",
                layers=(layer.name,),
                message=f"{layer.label} is the first to give NaN or infinity ({share:.1%} of its output).",
                evidence={"nonfinite_fraction": exact(share)},
            )
            return
    for layer in reversed(layers):
        spoiled = [layers[i].name for i in layer.node.inputs if _share(layers[i].gradient) > 0]
        if spoiled and layer.gradient is not None and _share(layer.gradient) == 0:
            yield Finding(
                code="GS401",
                name="nonfinite-value",
                severity="error",
                layers=(layer.name,),
                message=f"The backward pass of {layer.label} turns a finite gradient into NaN or infinity.",
                evidence={"nonfinite_fraction": exact(max(_share(layers[i].gradient) for i in layer.node.inputs))},
            )
            return


def _spreading(profile: Profile) -> set[int]:
    """Indices of the layers whose non-finite values reach an output or a gradient."""
    found = {i for i in profile.outputs if _share(profile.layers[i].activation) > 0}
    for layer in reversed(profile.layers):
        if layer.node.index in found or _share(layer.gradient) > 0:
            found.add(layer.node.index)
            found |= {i for i in layer.node.inputs if _share(profile.layers[i].activation) > 0}
    return found


def _share(moments: Moments | None) -> float:
    return 0.0 if moments is None else moments.nonfinite_fraction.value
