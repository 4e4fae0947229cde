"""What a remedy is, what it is told, and how its file declares it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gradscope.config import Config
from gradscope.prescribe._branches import Branch, branches
from gradscope.prescribe._inputs import call_text, example_inputs
from gradscope.prescribe._weights import WeightLayer, weight_layers
from gradscope.registry import Registry
from gradscope.schema import Applicability, Finding, LayerGraph, Prescription, Profile, Subject

if TYPE_CHECKING:
    from torch import nn

    from gradscope.prescribe._rehearsal import Rehearsal

SIGNAL_PROPAGATION = (
    "GS101", "GS102", "GS103", "GS104", "GS105", "GS106", "GS201", "GS202", "GS301", "GS302", "GS401", "GS501",
)  # fmt: skip
"""Codes of all findings that say: signals or gradients do not keep their scale on the way."""

EXPLOSION = ("GS102", "GS105", "GS202", "GS301", "GS401", "GS501")
"""Codes of the findings that say: signals or gradients grow on the way."""


@dataclass(frozen=True)
class Case:
    """Everything a remedy may look at; nothing in it may be changed."""

    findings: tuple[Finding, ...]
    subject: Subject
    graph: LayerGraph
    profile: Profile
    config: Config

    @property
    def model(self) -> nn.Module:
        return self.subject.model

    @cached_property
    def inputs(self) -> Any:
        """What the text of a remedy finds under the name `inputs`."""
        return example_inputs(self.subject)

    @property
    def call(self) -> str:
        """How that text calls the model on them."""
        return call_text(self.subject)

    @cached_property
    def weights(self) -> tuple[WeightLayer, ...]:
        """The linear layers and convolutions whose weight can be drawn anew, in execution order."""
        return weight_layers(self.graph, self.model)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """The residual branches, in execution order."""
        return branches(self.graph, self.model)


@dataclass(frozen=True, slots=True)
class Change:
    """What a remedy proposes: text that changes `model`, the layers it touches, and why it should help."""

    code: str
    layers: tuple[str, ...]
    rationale: str


Propose = Callable[[Case], Iterator[Change]]


@dataclass(frozen=True, slots=True)
class Remedy:
    """A registered remedy.

    Attributes:
        name: of its file, with dashes.
        resolves: codes of the findings it can answer.
        applicability: "safe" keeps the architecture and its checkpoints, "unsafe" does not.
        propose: yields the changes that fit a case; none where it does not apply.
    """

    name: str
    resolves: tuple[str, ...]
    applicability: Applicability
    propose: Propose

    def prescriptions(self, case: Case) -> Iterator[Prescription]:
        """The remedy's changes for the findings of this case that it resolves."""
        codes = tuple(code for code in self.resolves if any(f.code == code for f in case.findings))
        if codes:
            for change in self.propose(case):
                yield Prescription(self.name, codes, change.layers, change.code, self.applicability, change.rationale)


Advise = Callable[["Rehearsal"], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Advice:
    """A registered setting of the training loop.

    Attributes:
        name: of its file, with dashes.
        advise: rehearses a training and gives the settings that held; none if nothing did.
    """

    name: str
    advise: Advise


REMEDIES: Registry[Remedy | Advice] = Registry("gradscope.prescribe")


def remedy(*, resolves: Sequence[str], applicability: Applicability) -> Callable[[Propose], Propose]:
    """Declare the decorated function as a remedy; its name is the remedy's, with dashes."""

    def declare(propose: Propose) -> Propose:
        name = propose.__name__.replace("_", "-")
        REMEDIES.add(name, Remedy(name, tuple(resolves), applicability, propose))
        return propose

    return declare


def advice(advise: Advise) -> Advise:
    """Declare the decorated function as advice; its name is the advice's, with dashes."""
    name = advise.__name__.replace("_", "-")
    REMEDIES.add(name, Advice(name, advise))
    return advise
