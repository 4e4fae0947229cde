"""GS612: different parameters with the same random numbers."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import SUMMING, families, used
from gradscope.schema import Finding, Profile


@diagnostic("GS612", severity="warning")
def copied_weight(profile: Profile, config: Config) -> Iterator[Finding]:
    """A weight is a copy of another one, element by element.

    ## Why it matters
    Layers are meant to start independent. Copies come from `copy.deepcopy` of one layer, as nn.TransformerEncoder
    does it, from a seed that is set inside a constructor, or from memory that was handed out again. In parallel
    branches copies are one branch; in a row they make eigenvectors of one matrix grow with its power.

    ## How it is decided
    Two parameters that are not constant have the same shape and are equal bit for bit. Tied weights are one
    parameter, not two; positions, decay rates and the like may be the same table in every layer.

    ## What to do
    Draw every copy anew: call `reset_parameters` on each layer, or build each by a function.

    ## References
    PyTorch, nn.TransformerEncoder: all layers start with the same parameters, and should be initialized by hand.
    """
    copies = [p for p in used(profile, (*SUMMING, "embedding")) if p.copy_of is not None and p.trainable]
    if copies:
        yield Finding(
            code="GS612",
            name="copied-weight",
            severity="warning",
            layers=tuple(p.name for p in copies),
            message=(
                f"{len(copies)} weights ({families(copies)}) are copies of others: "
                f"{copies[0].name} equals {copies[0].copy_of}."
            ),
            evidence={},
        )
