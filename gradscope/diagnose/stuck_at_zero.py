"""GS605: weights that start at zero and can never leave it."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import SUMMING, families, used
from gradscope.diagnose._signal import exact, trunk
from gradscope.schema import Finding, ParameterProfile, Profile


@diagnostic("GS605", severity="error")
def stuck_at_zero(profile: Profile, config: Config) -> Iterator[Finding]:
    """Two weights in a row are exactly zero: neither ever gets a gradient.

    ## Why it matters
    One zero weight at the end of a branch is good practice: its gradient is not zero, and it leaves after one step.
    Of two in a row, the second is fed zeros, so its gradient is zero; the first gets its gradient through the
    second, which is zero as well. They stay there for ever, and what is between them is dead.

    ## How it is decided
    A weight that is exactly zero and fed exact zeros; or two weights that are exactly zero and that everything passes
    on its way to the output.

    ## What to do
    Draw the first of the two at random and leave only the last at zero, as LoRA, Fixup and adaLN-zero do.

    ## References
    Hu et al. 2021 (arXiv:2106.09685), section 4.1; Zhang et al. 2019 (arXiv:1901.09321); Zhao et al. 2022
    (arXiv:2110.12661) for what zeros can learn.
    """
    zero = [p for p in used(profile, SUMMING) if p.trainable and p.rms.is_known and p.rms.value == 0]
    passed = {layer.name for layer in trunk(profile)}
    in_a_row = [p for p in zero if p.use is not None and p.use.layer in passed and p.use.role != "router"]
    stuck = in_a_row if len(in_a_row) > 1 else [p for p in zero if p.use is not None and p.use.is_fed_zero]
    if stuck:
        yield Finding(
            code="GS605",
            name="stuck-at-zero",
            severity="error",
            layers=tuple(p.name for p in stuck),
            message=f"{_words(stuck)} exactly zero behind zeros: no gradient will ever move {_them(stuck)}.",
            evidence={"weights": exact(float(len(stuck)))},
        )


def _words(stuck: list[ParameterProfile]) -> str:
    return f"{families(stuck)} {'is' if len(stuck) == 1 else 'are'}"


def _them(stuck: list[ParameterProfile]) -> str:
    return "it" if len(stuck) == 1 else "them"
