"""What follows from a profile: findings and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradscope.schema.estimate import Estimate, Threshold

Severity = Literal["info", "warning", "error"]
Role = Literal["culprit", "victim", "network"]
Label = Literal["healthy", "vanishing", "exploding", "degraded", "unknown"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")  # mildest first


@dataclass(frozen=True, slots=True)
class Finding:
    """One risk, with its evidence."""

    code: str
    name: str
    severity: Severity
    layers: tuple[str, ...]
    message: str
    evidence: dict[str, Estimate]
    threshold: Threshold | None = None
    role: Role = "culprit"
    source: str | None = None  # "file:line" of the first layer

    def __str__(self) -> str:
        return f"{self.code} {self.name}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What training will do: a label, a risk in 0..1 and the mechanism in one sentence.

    Attributes:
        label: the mechanism, or that there is none.
        risk: of all models like this one, the share that does not fully train with any usual setting.
        reason: the mechanism in one sentence.
        risk_of_never: the share that does not train at all; None where no calibrated model applies.
        conditions: with which optimizers and learning rates it trains, one sentence each.
        basis: what the risk rests on: "trial steps on your batches", "trial steps on the example batch", "statics".
    """

    label: Label
    risk: float
    reason: str
    risk_of_never: float | None = None
    conditions: tuple[str, ...] = ()
    basis: str = ""
