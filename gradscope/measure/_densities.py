"""Densities of log singular values, of the network and of chosen layers: how far each is from an isometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscope.borrow import seeded
from gradscope.config import Config
from gradscope.measure._capture import Capture
from gradscope.measure._jacobian_operator import DisagreementError, JacobianOperator
from gradscope.measure._jacobians import recorded
from gradscope.measure._operators import ends
from gradscope.measure._trace import Trace
from gradscope.pytree import map_tensors
from gradscope.schema import Density, GradscopeError, LayerCall, LayerGraph, Run, Subject
from gradscope.spectra import Sweep, layer_density, operator_density, reported

NETWORK = "network"  # what chooses the whole network's Jacobian
_NEAR = 4  # names that may have been meant


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whose density was asked for: layers by index, and whether the network's."""

    layers: frozenset[int] = frozenset()
    has_network: bool = False


@dataclass(frozen=True, slots=True)
class Densities:
    """The chosen layers' densities by index, and the network's."""

    layers: Mapping[int, Density] = field(default_factory=dict)
    network: Density | None = None


def chosen(graph: LayerGraph, patterns: Sequence[str]) -> Chosen:
    """The layers whose name fits one of the patterns; "network" is the network.

    Args:
        graph: of the model.
        patterns: as `fnmatch` has them: "layers.3", "*.conv1", "*".

    Raises:
        GradscopeError: a pattern fits nothing.
    """
    nodes = [node for node in graph.nodes if node.kind != "input"]
    for pattern in patterns:
        if not fnmatchcase(NETWORK, pattern) and not any(fnmatchcase(node.name, pattern) for node in nodes):
            near = _near(pattern, list(dict.fromkeys(node.name for node in nodes)))
            raise GradscopeError(f"No layer is called {pattern!r}; try {', '.join(near)} or {NETWORK}.")
    return Chosen(
        frozenset(n.index for n in nodes if any(fnmatchcase(n.name, pattern) for pattern in patterns)),
        any(fnmatchcase(NETWORK, pattern) for pattern in patterns),
    )


def _near(pattern: str, names: Sequence[str]) -> list[str]:
    """What may have been meant: layers inside a module of that name, else names like it, else the first ones."""
    inside = [f"{pattern}.*"] if any(name.startswith(f"{pattern}.") for name in names) else []
    return (inside + get_close_matches(pattern, names, _NEAR) or list(names))[:_NEAR]


def densities(subject: Subject, capture: Capture, config: Config, batch: int, choice: Chosen) -> Densities:
    """Run the model once more for the chosen layers, and on a few samples for the network; nothing where none is.

    Args:
        subject: what is measured.
        capture: `capture.graph`.
        config: budgets.
        batch: number of samples in the batch; 0 if unknown.
        choice: whose density.
    """
    found: dict[int, Density] = {}
    if choice.layers:
        with seeded(subject.info.seed):  # the masks and the noise of the measured run
            capture(subject, _Watch(choice.layers, subject.info.seed, config, found))
    return Densities(found, _network(subject, capture, config, batch) if choice.has_network else None)


class _Watch:
    """The observer of a run that measures the chosen layers as they run."""

    def __init__(self, layers: frozenset[int], seed: int, config: Config, found: dict[int, Density]) -> None:
        self._layers, self._config, self._found = layers, config, found
        self._sweep = Sweep(tolerance=config.spectral_tolerance, probability=1 - config.confidence, seed=seed)

    def forward(self, layer: int, call: LayerCall) -> None:
        """Measure the layer if it was chosen."""
        if layer in self._layers:
            probes, steps = self._config.density_probes, self._config.density_steps
            self._found[layer] = layer_density(call, self._sweep, probes=probes, steps=steps)

    def backward(self, layer: int, gradient: Tensor) -> None:
        """Nothing: the run does not go backward."""


def _network(subject: Subject, capture: Capture, config: Config, batch: int) -> Density:
    """On the samples that its spectral norm is taken on."""
    if batch > config.operator_samples:
        args, kwargs = map_tensors(
            (subject.args, dict(subject.kwargs)), lambda tensor: tensor[: config.operator_samples]
        )
        subject = replace(subject, args=args, kwargs=kwargs)
    trace = Trace()
    with sdpa_kernel(SDPBackend.MATH):
        try:
            return _from_roots(*recorded(subject, capture, trace), trace, config, subject.info.seed)
        finally:
            trace.release()


def _from_roots(graph: LayerGraph, run: Run, trace: Trace, config: Config, seed: int) -> Density:
    found = ends(graph, run)
    if found is None:
        return Density.unknown("no differentiable path from an input to the output")
    whole, failures = JacobianOperator.between(run, trace, *found), []
    for replay in (trace.replay(*found), None):
        operator = replace(whole, replay=replay)
        try:
            density = operator_density(
                *operator.sides,
                partial(operator.start, torch.Generator().manual_seed(seed)),
                probes=config.density_probes,
                steps=config.density_steps,
            )
        except (RuntimeError, NotImplementedError, DisagreementError) as error:  # a call has no such derivative
            failures.append(str(error).splitlines()[0])
            continue
        return reported(density)
    return Density.unknown("no Jacobian product: " + "; ".join(failures))
