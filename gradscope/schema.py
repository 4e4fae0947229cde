"""The frozen records that flow between the stages; it imports nothing of ours and no torch.

    Subject -> LayerGraph -> Profile -> Finding -> Prescription -> Verification -> Report

`Subject`, `LayerCall` and `LayerGraph` carry live tensors; everything from `LayerProfile` on is plain
data that survives a round trip through msgspec.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import networkx as nx
    import torch
    from torch import Tensor, nn

SCHEMA_VERSION = "1"

Status = Literal["ok", "nonfinite", "not-converged", "not-applicable"]
Severity = Literal["info", "warning", "error"]
Role = Literal["culprit", "victim", "network"]
Label = Literal["healthy", "vanishing", "exploding", "degraded", "unknown"]
Applicability = Literal["safe", "unsafe", "display-only"]
Origin = Literal["measured", "predicted"]
ParameterRole = Literal[
    "matrix", "residual", "head", "unembedding", "tied", "embedding", "router", "recurrent", "norm", "bias", "other"
]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")  # mildest first


class GradscopeError(Exception):
    """A failure the user can act on: one sentence that says what, where and what to try."""


# --- numbers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, the interval it lies in, and how it was got. No bare float crosses a stage.

    Attributes:
        value: the best estimate.
        low: lower end of the interval; equals `value` where the number is exact.
        high: upper end of the interval; `inf` where nothing bounds it.
        method: how it was computed, e.g. "exact", "lanczos", "measured", "mean-field".
        n: how many samples, iterations or elements stand behind it.
        status: "ok", or why the number must not be compared with a threshold.
    """

    value: float
    low: float
    high: float
    method: str
    n: int = 1
    status: Status = "ok"

    @classmethod
    def exact(cls, value: float, method: str = "exact", n: int = 1) -> Estimate:
        """A number without uncertainty for this input; NaN and infinity get the status `nonfinite`."""
        status: Status = "ok" if math.isfinite(value) else "nonfinite"
        return cls(value, value, value, method, n, status)

    @classmethod
    def unknown(cls, method: str, status: Status = "not-applicable") -> Estimate:
        """No number: `status` says why."""
        return cls(math.nan, -math.inf, math.inf, method, 0, status)

    @property
    def is_known(self) -> bool:
        """Whether there is a number that may be compared."""
        return self.status == "ok"

    def is_above(self, threshold: float) -> bool:
        """Whether the whole interval lies above `threshold`; never true of an unknown."""
        return self.is_known and self.low > threshold

    def is_below(self, threshold: float) -> bool:
        """Whether the whole interval lies below `threshold`; never true of an unknown."""
        return self.is_known and self.high < threshold

    def __str__(self) -> str:
        if not self.is_known:
            return self.status
        if self.low == self.high:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit a diagnostic compares with: its value, its unit and where the number comes from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Moments:
    """Statistics of one tensor of a layer, over all its elements: activation or gradient."""

    mean: Estimate
    variance: Estimate
    second_moment: Estimate
    absolute_maximum: Estimate
    zero_fraction: Estimate
    nonfinite_fraction: Estimate


# --- what is analysed --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """What was analysed, in words: it goes into every report."""

    target: str
    class_name: str
    parameters: int
    trainable_parameters: int
    inputs: str
    inputs_from: str  # how the example inputs were found, and how to override them
    loss: str
    seed: int
    dtype: str
    device: str
    training: bool
    source: str | None = None  # "file:line" of what builds the model, where that is known


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that can be run: module, example inputs, targets, loss and how to build it again.

    Attributes:
        model: the user's module, borrowed.
        args: positional example inputs.
        kwargs: keyword example inputs.
        loss: maps (output, targets) to a scalar tensor, differentiable.
        targets: what `loss` compares with; None where the loss needs none.
        rebuild: builds a fresh, independent copy of the model (same initialization); None if impossible.
        batches: seed -> an iterable of (inputs, targets) for trials on real data; None if the user gave none.
        classes: number of classes when the loss is a cross-entropy, else None.
    """

    info: SubjectInfo
    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loss: Callable[[Any, Any], Tensor]
    targets: Any
    rebuild: Callable[[], nn.Module] | None = None
    batches: Callable[[int], Iterable[tuple[Any, Any]]] | None = None
    classes: int | None = None


# --- the graph of layers -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayerNode:
    """One call of one layer: a leaf module or a functional op, in execution order.

    Attributes:
        index: position in execution order.
        name: module path as `named_modules()` has it; a functional op has the path of the module that
            called it plus its function name and a 1-based index ("layer1.0.add_1").
        kind: "module", "function" or "input".
        op: class name of a module ("Conv2d") or function name ("add", "softmax", "getitem").
        path: path of the module, or of the module that called the function.
        call: how many times a layer of this name had run before (shared modules).
        inputs: indices of the nodes whose outputs it consumes.
        shape: shape of its first floating-point output, or of its first output.
        dtype: dtype of that output, e.g. "float32".
        parameters: names of the parameters it uses, as `named_parameters()` has them.
        fan_in: inputs that are summed into one output unit; None without a weight.
        fan_out: outputs that one input unit feeds; None without a weight.
        source: "file:line" of the user's code that ran it.
        block: name of the innermost block around it, or None.
    """

    index: int
    name: str
    kind: Literal["module", "function", "input"]
    op: str
    path: str
    call: int
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    parameters: tuple[str, ...] = ()
    fan_in: int | None = None
    fan_out: int | None = None
    source: str | None = None
    block: str | None = None


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One executed layer with its live tensors: what a spectral rule or a quantity looks at.

    `args` and `kwargs` are as they were before the call, also for in-place layers; no tensor in them may
    be modified. Calling `function(*args, **kwargs)` again computes the same output. `constants` are the tensors
    among the arguments that do not depend on the model's inputs; None where that is not known.
    """

    op: str
    module: nn.Module | None
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any
    constants: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A region between a node and its post-dominator, such as a residual branch with its add.

    `entry` is the index of the node whose output enters the block, `exit` of the node that ends it,
    `nodes` the indices in between, `exit` included, `entry` not.
    """

    name: str
    kind: Literal["residual", "branch"]
    entry: int
    exit: int
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be analysed, and why."""

    layer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of a run while its autograd graph lives: enough to go backward through it.

    Attributes:
        output: what the model returned.
        inputs: the floating-point input tensors, leaves that require grad.
        edges: layer index -> autograd edge of its main output (only where they were asked for).
    """

    output: Any
    inputs: tuple[Tensor, ...]
    edges: Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class LayerGraph:
    """The layers of one real run in execution order, how data flows between them, and what was missed."""

    nodes: tuple[LayerNode, ...]
    digraph: nx.DiGraph  # node = index in `nodes`
    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]  # nodes that produced the model's outputs
    fx: torch.fx.Graph  # one node a torch call
    constants: Mapping[str, Any]  # tensors behind those `get_attr` nodes of `fx` that are no parameters or buffers
    gaps: tuple[Gap, ...] = ()
    how: str = "runtime tape"


# --- what was found out ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """Everything known of one layer call."""

    node: LayerNode
    activation: Moments | None = None
    gradient: Moments | None = None  # of the loss with respect to the layer's output
    spectral_norm: Estimate | None = None  # largest singular value of its Jacobian
    rms_gain: Estimate | None = None  # sqrt of the mean squared singular value: chi^(1/2)
    quantities: dict[str, Estimate] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.node.name


@dataclass(frozen=True, slots=True)
class Draw:
    """How the elements of one parameter lie: what its initializer left behind.

    A unit is what one output of a weight sums over: a row of a matrix, the filter of a channel, a looked-up vector.
    Shares of units are unknown where a parameter has none.

    Attributes:
        mean: of the elements.
        std: about that mean.
        kurtosis: fourth central moment over the squared variance: 3 for a normal draw, 1.8 for a uniform one.
        absolute_maximum: largest magnitude; infinite where an element is.
        zero_fraction: share of elements that are exactly zero.
        octaves: standard deviation of log2 of the magnitudes; 1.6 for a normal draw.
        constant_units: share of the units whose elements are all the same number, zero included.
        zero_units: share of the units whose elements are all zero.
        duplicate_units: share of the units that equal another one, bit for bit.
        padding_rms: root mean square of the row that stands for padding; None where there is none.
    """

    mean: Estimate
    std: Estimate
    kurtosis: Estimate
    absolute_maximum: Estimate
    zero_fraction: Estimate
    octaves: Estimate
    constant_units: Estimate
    zero_units: Estimate
    duplicate_units: Estimate
    padding_rms: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """The standard deviation that the model's own code declares for a parameter, by where it says so.

    Attributes:
        by_name: what it draws parameters of this name with, be that line ever reached or not.
        by_initializer: what its initializer leaves when it runs over the modules again.
        by_default: what the module's own `reset_parameters` leaves.
    """

    by_name: Estimate | None = None
    by_initializer: Estimate | None = None
    by_default: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What a parameter is for, read off the graph.

    Attributes:
        role: "matrix" is any weight that sums over its inputs and is none of the more special kinds; "residual" the
            last weight of a residual branch; "head" the last weight before an output, "unembedding" one as wide as
            a vocabulary, "tied" one that looks vectors up as well.
        layer: name of the first layer that uses it.
        fan_in: terms of the sum that one output is; None where it does not sum.
        fan_out: outputs that one input feeds; None where it does not sum.
        follower: what comes next, rearrangements and dropout left out: an activation, "norm", "add", "output" or an op.
        gain: E[f(z)^2]^(-1/2) of the activation that follows, which keeps unit variance; None where none does.
        is_fed_zero: whether all that enters the layer is exactly zero.
    """

    role: ParameterRole
    layer: str
    fan_in: int | None = None
    fan_out: int | None = None
    follower: str = ""
    gain: float | None = None
    is_fed_zero: bool = False


@dataclass(frozen=True, slots=True)
class ParameterProfile:
    """One parameter: how it was drawn, what it is for, and the gradient that reached it (None: none did)."""

    name: str
    shape: tuple[int, ...]
    rms: Estimate
    gradient_rms: Estimate | None
    trainable: bool = True
    draw: Draw | None = None  # None of a parameter whose memory cannot be read as real numbers
    use: Use | None = None  # None of a parameter that no layer uses
    declaration: Declaration = Declaration()
    copy_of: str | None = None  # an earlier parameter with the same random elements


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

    @property
    def by_name(self) -> dict[str, LayerProfile]:
        """The first call of every layer by name."""
        return {layer.name: layer for layer in reversed(self.layers)}


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

    def to_json(self) -> str:
        """The JSON document of schema_version 1; a number that is not finite becomes null with its status."""
        import msgspec

        return msgspec.json.format(msgspec.json.encode(_document(self)), indent=1).decode()

    def __repr__(self) -> str:
        first = f", first: {self.findings[0]}" if self.findings else ""
        return f"<Report {self.verdict.label} risk={self.verdict.risk:.2f} findings={len(self.findings)}{first}>"


# --- the JSON contract -------------------------------------------------------------------------------


def _document(report: Report) -> dict[str, Any]:
    subject, verdict, coverage = report.subject, report.verdict, report.coverage
    return {
        "schema_version": report.schema_version,
        "gradscope_version": report.environment.gradscope,
        "subject": {
            "target": subject.target,
            "class": subject.class_name,
            "parameters": subject.parameters,
            "trainable_parameters": subject.trainable_parameters,
            "inputs": subject.inputs,
            "inputs_from": subject.inputs_from,
            "loss": subject.loss,
            "seed": subject.seed,
            "dtype": subject.dtype,
            "device": subject.device,
            "training": subject.training,
        },
        "environment": report.environment,
        "coverage": coverage,
        "verdict": verdict,
        **_profile_document(report.profile),
        "predicted": _profile_document(report.predicted) if report.measured and report.predicted else None,
        "findings": report.findings,
        "verifications": [_verification_document(v) for v in report.verifications],
        "recipe": report.recipe,
        "gaps": report.gaps,
        "seconds": report.seconds,
    }


def _profile_document(profile: Profile) -> dict[str, Any]:
    return {
        "origin": profile.origin,
        "network": profile.network,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.node.kind,
                "op": layer.node.op,
                "call": layer.node.call,
                "block": layer.node.block,
                "source": layer.node.source,
                "shape": layer.node.shape,
                "dtype": layer.node.dtype,
                "inputs": [profile.layers[i].name for i in layer.node.inputs],
                "parameters": layer.node.parameters,
                "fan_in": layer.node.fan_in,
                "fan_out": layer.node.fan_out,
                "activation": layer.activation,
                "gradient": layer.gradient,
                "spectral_norm": layer.spectral_norm,
                "rms_gain": layer.rms_gain,
                "quantities": layer.quantities,
            }
            for layer in profile.layers
        ],
        "blocks": [
            {
                "name": b.block.name,
                "kind": b.block.kind,
                "entry": profile.layers[b.block.entry].name,
                "exit": profile.layers[b.block.exit].name,
                "spectral_norm": b.spectral_norm,
                "rms_gain": b.rms_gain,
            }
            for b in profile.blocks
        ],
        "parameters": profile.parameters,
        "attempts": profile.attempts,
    }


def _verification_document(verification: Verification) -> dict[str, Any]:
    prescription = verification.prescription
    return {
        "remedy": prescription.remedy,
        "resolves": prescription.resolves,
        "layers": prescription.layers,
        "code": prescription.code,
        "applicability": prescription.applicability,
        "rationale": prescription.rationale,
        "accepted": verification.accepted,
        "before": verification.before,
        "after": verification.after,
        "untouched": verification.untouched,
        "trial": verification.trial,
        "note": verification.note,
    }
