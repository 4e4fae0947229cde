"""GS901: parts of the model that the analysis could not see."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact
from gradscope.schema import Finding, Profile


@diagnostic("GS901", severity="warning")
def coverage_gap(profile: Profile, config: Config) -> Iterator[Finding]:
    """Parts of the model could not be analysed: the verdict rests on the rest.

    ## Why it matters
    A clean report of half a model is not a clean model.

    ## How it is decided
    A layer whose Jacobian has no rule and no generic route, a part that hides its computation, or a gradient
    that reaches less than the threshold share of the parameters. Each is listed with its reason under gaps.

    ## What to do
    Give inputs that use the whole model; read the reasons listed.

    ## References
    The design of this report: unknown is an outcome.
    """
    threshold = config.uncovered_parameters
    reached = profile.coverage.parameters_reached
    if reached < threshold.value:
        yield Finding(
            code="GS901",
            name="coverage-gap",
            severity="warning",
            layers=(),
            message=f"A gradient reaches only {reached:.0%} of the parameters: the verdict is about these.",
            evidence={"parameters_reached": exact(reached)},
            threshold=threshold,
            role="network",
        )
    if profile.gaps:
        first = profile.gaps[0]
        more = f" and {len(profile.gaps) - 1} more" if len(profile.gaps) > 1 else ""
        yield Finding(
            code="GS901",
            name="coverage-gap",
            severity="info",
            layers=tuple(dict.fromkeys(gap.layer for gap in profile.gaps)),
            message=f"{first.layer}{more} could not be analysed: {first.reason.rstrip('.')}.",
            evidence={"gaps": exact(float(len(profile.gaps)))},
            role="network",
        )
