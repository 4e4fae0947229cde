"""Findings -> changes that may help, and the proof of those that do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gradscope.config import Config
from gradscope.cost import step_seconds, threads_for
from gradscope.prescribe._budget import Plan, plan
from gradscope.prescribe._clock import Patience
from gradscope.prescribe._contest import Arena, Entrant, Outcome
from gradscope.prescribe._copies import untouched
from gradscope.prescribe._inputs import example_inputs
from gradscope.prescribe._rehearsal import Rehearsal
from gradscope.prescribe._remedy import REMEDIES, Advice, Case, Remedy
from gradscope.prescribe._task import learning_task
from gradscope.prescribe._training import SETTINGS
from gradscope.prescribe._verify import Facts, Verifier
from gradscope.raised import words
from gradscope.schema import Finding, LayerGraph, Prescription, Profile, Subject, Verification

__all__ = ["prescriptions", "verify"]


def prescriptions(
    findings: Sequence[Finding], subject: Subject, graph: LayerGraph, profile: Profile, config: Config
) -> tuple[Prescription, ...]:
    """Every change that a remedy proposes for the warnings and errors among the findings; none for a healthy model.

    Raises:
        GradscopeError: the user's batches cannot be used.
    """
    serious = tuple(finding for finding in findings if finding.severity != "info")
    case = Case(serious, subject, graph, profile, config)
    remedies = [item for item in REMEDIES if isinstance(item, Remedy)]
    return tuple(prescription for remedy in remedies for prescription in remedy.prescriptions(case))


def verify(
    prescriptions: Sequence[Prescription],
    subject: Subject,
    before: Facts,
    *,
    again: Callable[[Subject], Facts],
    config: Config,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[tuple[Verification, ...], dict[str, dict[str, Any]]]:
    """Apply each prescription to a copy, measure it again, and train it briefly against the untouched model.

    A prescription is accepted if the findings that it is for are gone or milder, and if it reaches at least
    `config.trial_gain` less loss than doing nothing on two of three seeds. One that changes the optimizer leaves
    the model as it is: there the trial alone decides. The user's model is only copied.

    Settings for the training loop are rehearsed with the best accepted prescription, or with the model as it is.
    Without prescriptions that takes the user's own batches: on invented data there would be nothing to say.

    Args:
        prescriptions: what to try.
        subject: the model, its inputs and its loss.
        before: its profile and findings.
        again: measures and diagnoses a changed subject.
        config: thresholds and budgets.
        progress: is told (what is tried, fraction done).

    Returns:
        Verifications, accepted ones first and best first; and settings for the training loop, by name.
    """
    if not prescriptions and subject.batches is None:
        return (), {}
    report = progress or (lambda what, fraction: None)
    step = step_seconds([layer.node for layer in before[0].layers], subject.info.trainable_parameters)
    budget = plan(step, len(prescriptions), len(SETTINGS), config)
    if budget is None:
        return _untried(prescriptions, f"not tried: a training step of this model takes about {step:.2g} s"), {}
    with threads_for(step):
        return _tried(prescriptions, subject, before, again, config, budget, report)


def _tried(
    prescriptions: Sequence[Prescription],
    subject: Subject,
    before: Facts,
    again: Callable[[Subject], Facts],
    config: Config,
    budget: Plan,
    report: Callable[[str, float], None],
) -> tuple[tuple[Verification, ...], dict[str, dict[str, Any]]]:
    patience = Patience(config.timeout * config.trial_share)
    report("prescribe: doing nothing", 0.0)
    entrant = Entrant(partial(untouched, subject))
    try:
        arena = Arena(learning_task(subject), budget, subject.info.seed)
        nothing = arena.contest(entrant, is_thorough=True)  # doing nothing gets every chance
    except Exception as error:  # the user's model and data: that they cannot be trained is the result
        return _untried(prescriptions, f"a copy of the model cannot be trained: {words(error)}"), {}
    verifier = Verifier(subject, example_inputs(subject), before, again, arena, nothing, config, patience)
    attempts = verifier.verified(prescriptions, report)
    for best in attempts[:1]:
        if best.verification.accepted and best.outcome is not None:
            entrant, nothing = verifier.entrant(best.verification.prescription), best.outcome
    report("prescribe: settings", 0.9)
    recipe = _recipe(subject, arena, entrant, nothing, config, patience)
    return tuple(attempt.verification for attempt in attempts), recipe


def _untried(prescriptions: Sequence[Prescription], reason: str) -> tuple[Verification, ...]:
    return tuple(Verification(p, False, {}, {}, None, None, reason) for p in prescriptions)


def _advised(item: Advice, rehearsal: Rehearsal) -> dict[str, Any]:
    try:
        return item.advise(rehearsal)
    except Exception as error:  # the user's model under a setting that it may not be made for
        return {"note": f"the rehearsal failed: {words(error)}"}


def _recipe(
    subject: Subject, arena: Arena, entrant: Entrant, outcome: Outcome, config: Config, patience: Patience
) -> dict[str, dict[str, Any]]:
    """Settings rehearsed on the model that reached this outcome; none for one that does not learn."""
    start, gain = outcome.curves[0][0], config.trial_gain.value
    if not outcome.finals[0] <= start - gain * abs(start):
        return {}
    info = subject.info
    rehearsal = Rehearsal(arena, entrant, outcome.setting.method, info.dtype, info.device.partition(":")[0], gain)
    settings: dict[str, dict[str, Any]] = {}
    for item in REMEDIES:
        if isinstance(item, Advice):
            settings[item.name] = {"note": patience.words} if patience.is_over else _advised(item, rehearsal)
    return {name.replace("-", "_"): values for name, values in settings.items() if values}
