"""GS607: the row of an embedding that stands for padding is not zero."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import names
from gradscope.schema import Finding, Profile


@diagnostic("GS607", severity="warning")
def written_padding(profile: Profile, config: Config) -> Iterator[Finding]:
    """An embedding's padding row holds random numbers.

    ## Why it matters
    Its gradient is cut, so it keeps these numbers for ever: padding adds the same noise to sums, means and attention
    that a word would. `nn.Embedding(padding_idx=...)` starts the row at zero, and an initializer that then draws the
    whole table overwrites it.

    ## How it is decided
    A table that is looked up with a `padding_idx`, and whose row there has an rms above zero.

    ## What to do
    `embedding.weight.data[embedding.padding_idx].zero_()` after the initializer, under no_grad.

    ## References
    PyTorch, nn.Embedding: padding_idx.
    """
    written = [
        p
        for p in profile.parameters
        if p.draw is not None and p.draw.padding_rms is not None and p.draw.padding_rms.is_above(0.0)
    ]
    if written:
        assert written[0].draw is not None
        padding = written[0].draw.padding_rms
        assert padding is not None
        yield Finding(
            code="GS607",
            name="written-padding",
            severity="warning",
            layers=tuple(p.name for p in written),
            message=f"The padding row of {names([p.name for p in written])} is not zero (rms {padding.value:.3g}).",
            evidence={"padding_rms": padding},
        )
