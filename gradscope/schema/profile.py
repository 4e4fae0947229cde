"""Everything known of one model: of its layers, its blocks, its parameters and the whole network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gradscope.schema.density import Density
from gradscope.schema.estimate import Estimate, Moments
from gradscope.schema.graph import Block, Gap, LayerNode
from gradscope.schema.parameter import ParameterProfile

Origin = Literal["measured", "predicted"]


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """Everything known of one layer call."""

    node: LayerNode
    activation: Moments | None = None
    gradient: Moments | None = None  # of the loss with respect to the layer's output
    spectral_norm: Estimate | None = None  # largest singular value of its Jacobian
    rms_gain: Estimate | None = None  # sqrt of the mean squared singular value: chi^(1/2)
    quantities: dict[str, Estimate] = field(default_factory=dict)
    density: Density | None = None  # of its Jacobian's singular values, where it was asked for

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.node.name

    @property
    def label(self) -> str:
        """The name as a sentence has it: a number, as in an `nn.Sequential`, with its type, "3 (Linear)"."""
        return f"{self.name} ({self.node.op})" if self.name.replace(".", "").isdigit() else self.name


@dataclass(frozen=True, slots=True)
class BlockProfile:
    """One block: the spectrum of its Jacobian."""

    block: Block
    spectral_norm: Estimate | None = None
    rms_gain: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A handful of training steps on a copy: the loss before every step, and whether it knew which input it saw.

    Attributes:
        optimizer: "sgd" (momentum 0.9) or "adam".
        learning_rate: constant.
        asked: steps that were to be taken; fewer were where it stopped being finite.
        losses: the loss before each step.
        mismatched: what the same outputs cost with other samples' targets: above the loss once the output tells
            inputs apart in the way that the targets do. Empty where no targets can be exchanged.
        errors: share of wrong classes, or mean squared error, before each step; empty where it is neither.
        mismatched_errors: the same with other samples' targets.
        is_real: whether the steps were on the user's batches, not on the example batch again and again.
    """

    optimizer: str
    learning_rate: float
    asked: int
    losses: tuple[float, ...]
    mismatched: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    mismatched_errors: tuple[float, ...] = ()
    is_real: bool = False


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the model was seen."""

    layers: int
    layers_with_spectral_norm: int
    parameters_reached: float  # share of the trainable parameter elements that got a gradient
    capture: str


@dataclass(frozen=True, slots=True)
class Profile:
    """All quantities of one model: measured from real tensors, or predicted from theory alone."""

    origin: Origin
    layers: tuple[LayerProfile, ...]
    network: dict[str, Estimate]
    parameters: tuple[ParameterProfile, ...]
    blocks: tuple[BlockProfile, ...]
    coverage: Coverage
    outputs: tuple[int, ...] = ()
    gaps: tuple[Gap, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    loss: str = ""  # in words; the gradients are of it
    density: Density | None = None  # of the network's Jacobian, where it was asked for

    @property
    def by_name(self) -> dict[str, LayerProfile]:
        """The first call of every layer by name."""
        return {layer.name: layer for layer in reversed(self.layers)}
