"""GS614: a scaling of residual branches with depth that reached only some of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._draws import agrees, families, family, used
from gradscope.diagnose._signal import exact
from gradscope.schema import Finding, ParameterProfile, Profile


@diagnostic("GS614", severity="warning")
def partly_scaled_residual(profile: Profile, config: Config) -> Iterator[Finding]:
    """Some of the last weights of residual branches are scaled by 1 / sqrt(number of branches), others are not.

    ## Why it matters
    A residual stream adds up its branches; scaled so, all of them together add as much as one. The branches that the
    scaling missed add all the rest, and what it was for is lost.

    ## How it is decided
    The last weights of residual branches, by family of names. The usual scale is the median standard deviation of the
    weights inside the branches. One family has that scale divided by sqrt(n), n the number of branches or half of it,
    and another one the usual scale itself, both within what draws differ by. A model in which no branch is scaled, as
    in most families, is no finding.

    ## What to do
    Compare the condition of the scaling with the names of `model.named_parameters()`.

    ## References
    Radford et al. 2019 (GPT-2), 2.3; Zhang et al. 2019 (arXiv:1901.09321).
    """
    residual = used(profile, ("residual",))
    inner = [p.draw.std.value for p in used(profile, ("matrix",)) if p.draw is not None and p.draw.std.value > 0]
    if not inner or len(residual) < _LEAST:
        return
    usual = median(inner)
    groups: dict[str, list[ParameterProfile]] = defaultdict(list)
    for parameter in residual:
        groups[family(parameter.name)].append(parameter)
    for branches in (len(residual), len(residual) / 2):
        scaled = _drawn_with(groups, usual / math.sqrt(branches), config)
        missed = _drawn_with(groups, usual, config)
        if scaled and missed:
            first = missed[0]
            assert first.draw is not None
            yield Finding(
                code="GS614",
                name="partly-scaled-residual",
                severity="warning",
                layers=tuple(p.name for p in missed),
                message=(
                    f"{families(scaled)} are scaled by 1/sqrt({branches:.0f}) with depth, {families(missed)} are not "
                    f"(std {first.draw.std.value:.3g})."
                ),
                evidence={"std": first.draw.std, "usual_std": exact(usual)},
                threshold=config.conforming_deviation,
            )
            return


_LEAST = 4  # branches: with fewer the scaling is hard to tell from other choices


def _drawn_with(groups: dict[str, list[ParameterProfile]], std: float, config: Config) -> list[ParameterProfile]:
    """The parameters of the families all of whose members are drawn with this standard deviation."""
    return [p for group in groups.values() if all(_is_drawn_with(p, std, config) for p in group) for p in group]


def _is_drawn_with(parameter: ParameterProfile, std: float, config: Config) -> bool:
    draw = parameter.draw
    return draw is not None and agrees(draw.std, replace(draw.std, value=std), draw.kurtosis, config)
