"""GS501: the first loss is far from that of a model that knows nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.config import Config
from gradscope.diagnose._diagnostic import diagnostic
from gradscope.diagnose._signal import exact, main_outputs
from gradscope.schema import Finding, Profile


@diagnostic("GS501", severity="error")
def unexpected_initial_loss(profile: Profile, config: Config) -> Iterator[Finding]:
    """The loss before training is a multiple of the loss of a model that knows nothing.

    ## Why it matters
    The model starts with confident random answers. The first updates are spent on taking them back, with
    gradients so large that they wreck the rest, and an exploding signal shows here first.

    ## How it is decided
    The measured loss over the loss of an uninformed model, ln K for K classes or that of the mean target, is
    above the threshold.

    ## What to do
    Lower the scale of the last layer, or of whatever explodes before it; standardize regression targets.

    ## References
    Ben Braiek & Khomh 2023, TheDeepChecker (arXiv:2204.00694).
    """
    initial, expected = profile.network.get("initial_loss"), profile.network.get("expected_loss")
    if initial is None or expected is None or not (initial.is_known and expected.is_known) or expected.value <= 0:
        return
    ratio = initial.value / expected.value
    warning, error = config.initial_loss_warning, config.initial_loss_error
    if ratio > warning.value:
        is_error = ratio > error.value
        yield Finding(
            code="GS501",
            name="unexpected-initial-loss",
            severity="error" if is_error else "warning",
            layers=tuple(profile.layers[i].name for i in main_outputs(profile)[:1]),
            message=f"The first loss is {initial.value:.3g}, {ratio:.3g} times that of a model that knows nothing.",
            evidence={"initial_loss": initial, "expected_loss": expected, "ratio": exact(ratio)},
            threshold=error if is_error else warning,
            role="network",
        )
