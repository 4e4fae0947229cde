"""Every prescription is applied to a copy, measured again, and tried against doing nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gradscope.config import Config
from gradscope.prescribe._clock import Patience
from gradscope.prescribe._contest import Arena, Entrant, Outcome
from gradscope.prescribe._copies import is_of_training, treated, treated_subject, tune, untouched
from gradscope.prescribe._evidence import burden, is_milder, numbers, summary
from gradscope.raised import words
from gradscope.schema import Finding, Prescription, Profile, Subject, Verification

NOTHING_LEFT = 0.01
"""Share of the first loss that a training may leave for nothing to be left to gain."""

Facts = tuple[Profile, tuple[Finding, ...]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A verification on its way.

    Attributes:
        verification: what is known so far.
        left: how heavy the findings are that stay.
        is_open: whether it is worth a trial and has not had one.
        outcome: of the trial.
    """

    verification: Verification
    left: float = math.inf
    is_open: bool = False
    outcome: Outcome | None = None

    def closed(self, note: str) -> Attempt:
        """The attempt, rejected for this reason."""
        return replace(self, verification=replace(self.verification, note=note), is_open=False)

    @property
    def rank(self) -> tuple[bool, float]:
        """Accepted ones first, by the loss they reached; then the rejected ones, those that were tried first."""
        return not self.verification.accepted, math.inf if self.outcome is None else self.outcome.mean


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
        patience: how long all of it may take.
    """

    subject: Subject
    inputs: Any
    before: Facts
    again: Callable[[Subject], Facts]
    arena: Arena
    nothing: Outcome
    config: Config
    patience: Patience

    def verified(self, prescriptions: Sequence[Prescription], report: Callable[[str, float], None]) -> list[Attempt]:
        """All of them, accepted ones first and best first; those that leave least to cure are tried."""
        measured = []
        for i, prescription in enumerate(prescriptions):
            report(f"prescribe: measuring {prescription.remedy}", 0.1 + 0.2 * i / len(prescriptions))
            measured.append(self.measured(prescription))
        attempts = [attempt for attempt in measured if not attempt.is_open]
        waiting = sorted((attempt for attempt in measured if attempt.is_open), key=lambda attempt: attempt.left)
        limit = self.arena.plan.candidates
        for i, attempt in enumerate(waiting[:limit]):
            report(f"prescribe: trying {attempt.verification.remedy}", 0.3 + 0.6 * i / len(waiting))
            attempts.append(attempt.closed(self.patience.words) if self.patience.is_over else self.tried(attempt))
        attempts += [
            attempt.closed("not tried: the budget went to what leaves less to cure") for attempt in waiting[limit:]
        ]
        return sorted(attempts, key=lambda attempt: attempt.rank)

    def entrant(self, prescription: Prescription) -> Entrant:
        """The model with the prescription applied to it, or to its optimizer."""
        code = prescription.code
        if is_of_training(code):
            return Entrant(partial(untouched, self.subject), partial(tune, code, self.inputs))
        return Entrant(partial(treated, self.subject, code, self.inputs))

    def measured(self, prescription: Prescription) -> Attempt:
        """Applied to a copy and measured again; open where that leaves less to cure."""
        before = numbers(prescription, *self.before)
        attempt = Attempt(Verification(prescription, False, before, {}, self.nothing.trial(), None, ""))
        try:
            if is_of_training(prescription.code):  # nothing to measure: the model stays as it is
                return replace(attempt, left=burden(self.before[1]), is_open=True)
            profile, findings = self.again(treated_subject(self.subject, prescription.code, self.inputs))
        except Exception as error:  # whatever breaks on the copy is this prescription's result
            return attempt.closed(f"it fails on a copy of the model: {words(error)}")
        left = [f for f in findings if f.code in prescription.resolves]
        verification = replace(attempt.verification, after=numbers(prescription, profile, findings))
        attempt = Attempt(verification, burden(left), is_open=True)
        if is_milder(prescription, self.before[1], findings):
            return attempt
        return attempt.closed(f"measured again, there is still {summary(left)}")

    def tried(self, attempt: Attempt) -> Attempt:
        """Trained against doing nothing: accepted if it wins on two of three seeds."""
        idle = self.idle
        try:
            outcome = self.arena.contest(self.entrant(attempt.verification.prescription), to_beat=idle[0])
        except Exception as error:  # as above
            return attempt.closed(f"a copy cannot be trained with it: {words(error)}")
        gain = self.config.trial_gain.value
        wins = sum(end <= self.to_win(loss) for end, loss in zip(outcome.finals, idle, strict=False))
        seeds = len(self.arena.seeds)
        is_accepted = wins >= math.ceil(2 / 3 * seeds)
        saved = f"at least {gain:.0%} less loss than without it"
        note = f"{saved} in {wins or 'none'} of {seeds} seeds, on {self.arena.words}"
        verification = replace(attempt.verification, accepted=is_accepted, trial=outcome.trial(), note=note)
        return Attempt(verification, attempt.left, outcome=outcome)

    def to_win(self, idle: float) -> float:
        """The loss to reach where doing nothing reaches `idle`: a tenth of it less, and 1 % of the first loss."""
        return idle - max(self.config.trial_gain.value * abs(idle), NOTHING_LEFT * abs(self.start))

    @property
    def start(self) -> float:
        """The loss before training: of the untouched model, or of knowing nothing if that is less."""
        expected = self.before[0].network.get("expected_loss")
        uninformed = expected.value if expected is not None and expected.is_known else math.inf
        return min(self.nothing.curves[0][0], uninformed)

    @property
    def idle(self) -> tuple[float, ...]:
        """Per seed, the loss without any remedy: of training, or of not even training."""
        return tuple(
            min(end, curve[0], self.start) for end, curve in zip(self.nothing.finals, self.nothing.curves, strict=True)
        )
