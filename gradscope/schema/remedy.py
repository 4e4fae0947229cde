"""What may help, and whether it did: a change, and how it was tried against doing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradscope.schema.estimate import Estimate

Applicability = Literal["safe", "unsafe", "display-only"]


@dataclass(frozen=True, slots=True)
class Prescription:
    """One change that may help. `code` is the text the user pastes, and the text that is executed."""

    remedy: str
    resolves: tuple[str, ...]
    layers: tuple[str, ...]
    code: str
    applicability: Applicability
    rationale: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Short trainings over seeds and learning rates: final loss, relative to the loss at the start.

    `curve` is the loss of the best learning rate's first seed, step by step.
    """

    optimizer: str
    steps: int
    seeds: int
    learning_rates: tuple[float, ...]
    best_learning_rate: float
    initial_loss: Estimate
    final_loss: Estimate
    curve: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """A prescription that was applied to a copy, measured again and tried against the untouched model."""

    prescription: Prescription
    accepted: bool
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    untouched: Trial | None  # the trial of doing nothing
    trial: Trial | None
    note: str

    @property
    def remedy(self) -> str:
        """Name of the remedy."""
        return self.prescription.remedy
