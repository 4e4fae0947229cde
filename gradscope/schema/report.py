"""The whole answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from gradscope.schema.document import document
from gradscope.schema.estimate import Estimate
from gradscope.schema.graph import Gap
from gradscope.schema.judgement import Finding, Verdict
from gradscope.schema.profile import Coverage, LayerProfile, Profile
from gradscope.schema.remedy import Verification
from gradscope.schema.subject import SubjectInfo

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Environment:
    """What ran the analysis."""

    gradscope: str
    python: str
    torch: str
    platform: str
    threads: int


@dataclass(frozen=True, slots=True)
class Report:
    """The whole answer; every format is rendered from it."""

    subject: SubjectInfo
    environment: Environment
    verdict: Verdict
    measured: Profile | None
    predicted: Profile | None
    findings: tuple[Finding, ...]
    verifications: tuple[Verification, ...]
    recipe: dict[str, dict[str, Any]]
    gaps: tuple[Gap, ...]
    seconds: dict[str, float]  # wall-clock time of each stage
    schema_version: str = SCHEMA_VERSION

    @property
    def profile(self) -> Profile:
        """The measured profile, or the predicted one of a static analysis."""
        profile = self.measured or self.predicted
        assert profile is not None, "a report holds at least one profile"
        return profile

    @property
    def layers(self) -> tuple[LayerProfile, ...]:
        """Every layer call in execution order."""
        return self.profile.layers

    @property
    def network(self) -> dict[str, Estimate]:
        """The quantities of the network as a whole."""
        return self.profile.network

    @property
    def coverage(self) -> Coverage:
        """How much of the model was seen."""
        return self.profile.coverage

    def labels(self, names: Iterable[str]) -> list[str]:
        """Names of layers and parameters as a sentence has them: a layer that is only a number with its type."""
        layers = self.profile.by_name
        return [layers[name].label if name in layers else name for name in names]

    def to_json(self) -> str:
        """The JSON document of schema_version 1; `gradscope.schema.document` says what it holds."""
        return msgspec.json.format(msgspec.json.encode(document(self)), indent=1).decode()

    def __repr__(self) -> str:
        first = f", first: {self.findings[0]}" if self.findings else ""
        return f"<Report {self.verdict.label} risk={self.verdict.risk:.2f} findings={len(self.findings)}{first}>"
