"""Why a model is at risk, in one sentence: the feature that adds most to the risk, and what trial steps came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradscope.learning import has_diverged, has_learned
from gradscope.schema import Attempt, Label

MECHANISMS: dict[str, tuple[Label, str]] = {
    "vanishing": ("vanishing", "The gradient loses {:.1f} decades on its way from the output to the data"),
    "exploding": ("exploding", "The gradient grows by {:.1f} decades on its way from the output to the data"),
    "initial_loss": ("exploding", "The first loss is {:.1f} decades above that of the best constant answer"),
    "indifference": ("vanishing", "What the output says about the input is {:.1f} decades smaller than the output"),
    "collapse": ("vanishing", "Samples become alike: 1 - cosine falls to {:.1f} decades below one"),
    "flatness": ("vanishing", "At the narrowest layer the samples differ in hardly more than one direction"),
    "noise": ("degraded", "{:.0%} of what tells two answers apart is noise"),
    "leak": ("degraded", "{:.0%} of an answer's gradient lies at other samples' inputs"),
    "twins": ("degraded", "{:.0%} of a layer's units compute the same as another one and cannot part"),
    "dead": ("degraded", "{:.0%} of a layer's units never fire"),
    "saturated": ("degraded", "{:.0%} of a layer's outputs lie at the bounds of its activation"),
    "forgetting": ("vanishing", "Over the length of the sequence the gradient loses {:.1f} decades"),
    "slow_with_sgd": ("vanishing", "Steps of SGD are {:.1f} decades too small for the weights"),
    "rash_with_sgd": ("exploding", "Steps of SGD are {:.1f} decades too large for a weight"),
    "slow_with_adam": ("vanishing", "Gradients are below the floor of Adam's denominator: {:.1f} decades too small"),
    "unscaled_input": ("degraded", "The data are {:.1f} decades away from unit scale"),
    "evadable": ("degraded", "The loss can be made small without looking at the data: it does not ask for the targets"),
    "unreachable": ("degraded", "{:.0%} of what is to be learned lies outside the range of the last layer"),
}
"""Label and sentence of every feature that stands for a cause."""

_NEGLIGIBLE = 0.1  # log-odds: a cause that adds less explains nothing


def mechanism(
    features: Mapping[str, float | None], parts: Mapping[str, float], attempts: Sequence[Attempt]
) -> tuple[Label, str]:
    """The cause that adds most to the risk; degraded for no visible cause where only the trial steps tell."""
    causes = [(part, name) for name, part in parts.items() if name in MECHANISMS and part > _NEGLIGIBLE]
    trial = taught(attempts)
    if not causes:
        return (
            "degraded",
            f"No cause shows at rest; {trial}" if trial else "Models like this one often do not fully train.",
        )
    _, name = max(causes)
    label, sentence = MECHANISMS[name]
    value = features[name]
    assert value is not None, "an unknown feature adds no part"
    return label, f"{sentence.format(value)}{'; ' + trial if trial else '.'}"


def taught(attempts: Sequence[Attempt]) -> str:
    """What the trial steps came to, as the end of a sentence; empty without any."""
    if not attempts:
        return ""
    data = "your batches" if attempts[0].is_real else "the example batch"
    steps = sum(attempt.asked for attempt in attempts)
    if any(map(has_learned, attempts)):
        return f"it learns from {data} within {steps} trial steps."
    if all(map(has_diverged, attempts)):
        return f"training on {data} diverges within {steps} trial steps."
    return f"{steps} trial steps on {data} taught it nothing that is plain."
