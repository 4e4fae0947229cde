"""GS606: parameters that hold what happened to lie in memory."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import names
from gradscope.schema import Draw, Finding, Profile


@diagnostic("GS606", severity="error")
def uninitialized_memory(profile: Profile, config: Config) -> Iterator[Finding]:
    """A parameter was allocated and never written: it holds whatever was there before.

    ## Why it matters
    `torch.empty` and `to_empty` leave old bytes. They are different in every run, and read as numbers they are NaN,
    huge, or so small that they count as nothing.

    ## How it is decided
    An element that is NaN or infinite or larger than any initializer draws; elements that are not zero and all below
    the smallest normal number; or magnitudes that spread over more octaves than numbers that were drawn do.
    Memory that happened to be zero cannot be told from zeros that are meant; see stuck-at-zero.

    ## What to do
    Initialize it: `nn.init` in the constructor, or `reset_parameters` after `to_empty`.

    ## References
    PyTorch, torch.empty and nn.Module.to_empty; IEEE 754.
    """
    wild = [(p, why) for p in profile.parameters if p.draw is not None and (why := _reason(p.draw, config))]
    if wild:
        parameter, why = wild[0]
        assert parameter.draw is not None
        yield Finding(
            code="GS606",
            name="uninitialized-memory",
            severity="error",
            layers=tuple(p.name for p, _ in wild),
            message=f"{names([p.name for p, _ in wild])} look like memory that nothing was written to: {why}.",
            evidence={"absolute_maximum": parameter.draw.absolute_maximum, "octaves": parameter.draw.octaves},
            threshold=config.uninitialized_octaves,
        )


def _reason(draw: Draw, config: Config) -> str:
    largest, octaves = draw.absolute_maximum, draw.octaves
    if not largest.is_known:
        return "NaN or infinity among the elements"
    if 0 < largest.value < config.smallest_normal.value:
        return f"no element above {largest.value:.1g}"
    if draw.std.value > 0 and largest.value > config.uninitialized_magnitude.value:
        return f"magnitudes up to {largest.value:.1g}"
    if octaves.is_above(config.uninitialized_octaves.value) and largest.n > _FEW:
        return f"magnitudes spread over {octaves.value:.0f} octaves"
    return ""


_FEW = 64  # elements whose spread says something
