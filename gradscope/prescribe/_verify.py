"""Every prescription is applied to a copy, measured again, and tried against doing nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gradscope.config import Config
from gradscope.prescribe._contest import Arena, Entrant, Outcome
from gradscope.prescribe._copies import is_of_training, treated, treated_subject, tune, untouched
from gradscope.prescribe._evidence import burden, is_milder, numbers, summary
from gradscope.schema import Finding, Prescription, Profile, Subject, Verification

Facts = tuple[Profile, tuple[Finding, ...]]


@dataclass(frozen=True)
class Verifier:
    """What every prescription is held against.

    Attributes:
        subject: the user's model, which is only ever copied.
        inputs: what the text of a remedy finds as `inputs`.
        before: profile and findings of the model as it is.
        again: measures and diagnoses a subject.
        arena: where models are trained.
        nothing: what the untouched model reached.
        config: holds the thresholds.
    """

    subject: Subject
    inputs: Any
    before: Facts
    again: Callable[[Subject], Facts]
    arena: Arena
    nothing: Outcome
    config: Config

    def verified(
        self, prescriptions: Sequence[Prescription], report: Callable[[str, float], None]
    ) -> list[tuple[Verification, Outcome | None]]:
        """All of them, accepted ones first, each with what it reached; those that leave least to cure are tried."""
        measured = []
        for i, prescription in enumerate(prescriptions):
            report(f"prescribe: measuring {prescription.remedy}", 0.1 + 0.2 * i / len(prescriptions))
            measured.append(self.measured(prescription))
        eligible = [v for v, _ in sorted(measured, key=lambda pair: pair[1]) if not v.note]
        pairs: list[tuple[Verification, Outcome | None]] = [(v, None) for v, _ in measured if v.note]
        limit = self.arena.plan.candidates
        for i, verification in enumerate(eligible[:limit]):
            report(f"prescribe: trying {verification.remedy}", 0.3 + 0.6 * i / len(eligible))
            pairs.append(self.tried(verification))
        skipped = "not tried: others leave less to cure, and the model is large for the budget"
        pairs += [(replace(verification, note=skipped), None) for verification in eligible[limit:]]
        return sorted(pairs, key=_rank)

    def entrant(self, prescription: Prescription) -> Entrant:
        """The model with the prescription applied to it, or to its optimizer."""
        code = prescription.code
        if is_of_training(code):
            return Entrant(partial(untouched, self.subject), partial(tune, code, self.inputs))
        return Entrant(partial(treated, self.subject, code, self.inputs))

    def measured(self, prescription: Prescription) -> tuple[Verification, float]:
        """Applied to a copy and measured again: not accepted yet, with a note if that is final, and what is left."""
        before = numbers(prescription, *self.before)
        result = Verification(prescription, False, before, {}, self.nothing.trial(), None, "")
        try:
            if is_of_training(prescription.code):
                return result, burden(self.before[1])
            changed = treated_subject(self.subject, prescription.code, self.inputs)
            profile, findings = self.again(changed)
        except Exception as error:  # whatever breaks on the copy is this prescription's result
            return replace(result, note=f"it fails on a copy of the model: {words(error)}"), math.inf
        result = replace(result, after=numbers(prescription, profile, findings))
        meant = [f for f in findings if f.code in prescription.resolves]
        if not is_milder(prescription, self.before[1], findings):
            return replace(result, note=f"measured again, there is still {summary(meant)}"), burden(meant)
        return result, burden(meant)

    def tried(self, measured: Verification) -> tuple[Verification, Outcome | None]:
        """Trained against doing nothing: accepted if it wins on enough seeds."""
        idle = self.idle
        try:
            outcome = self.arena.contest(self.entrant(measured.prescription), to_beat=idle[0])
        except Exception as error:  # as above
            return replace(measured, note=f"a copy cannot be trained with it: {words(error)}"), None
        gain = self.config.trial_gain.value
        wins = sum(end <= loss - gain * abs(loss) for end, loss in zip(outcome.finals, idle, strict=False))
        seeds = len(self.arena.seeds)
        is_accepted = wins >= math.ceil(2 / 3 * seeds)
        note = f"at least {gain:.0%} less loss than without it in {wins} of {seeds} seeds, on {self.arena.words}"
        return replace(measured, accepted=is_accepted, trial=outcome.trial(), note=note), outcome

    @property
    def idle(self) -> tuple[float, ...]:
        """Per seed, the loss without any remedy: of training, of not training, or of knowing nothing."""
        expected = self.before[0].network.get("expected_loss")
        uninformed = expected.value if expected is not None and expected.is_known else math.inf
        starts = [curve[0] for curve in self.nothing.curves]
        return tuple(min(end, start, uninformed) for end, start in zip(self.nothing.finals, starts, strict=True))


def _rank(pair: tuple[Verification, Outcome | None]) -> tuple[bool, float]:
    """Accepted ones first, by the loss they reached; then the rejected ones, those that were tried first."""
    verification, outcome = pair
    return not verification.accepted, outcome.mean if outcome is not None else math.inf


def words(error: Exception) -> str:
    """The first line of an error, with its class."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
