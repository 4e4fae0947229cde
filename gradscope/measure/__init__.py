"""Subject -> Profile from real tensors: one forward and one backward pass, and the operators of a small run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradscope.batches import sample_count
from gradscope.borrow import random_states
from gradscope.config import Config
from gradscope.measure._attempts import attempts
from gradscope.measure._awaken import awakened, sleeping
from gradscope.measure._awaken import gaps as awakening_gaps
from gradscope.measure._capture import Capture
from gradscope.measure._conformance import with_conformance
from gradscope.measure._densities import Densities, chosen, densities
from gradscope.measure._dependence import output_noise, own_share
from gradscope.measure._instruments import Instruments
from gradscope.measure._jacobians import Jacobians, jacobians
from gradscope.measure._losses import constant_loss, expected_loss, output_variation, perfect_loss
from gradscope.measure._parameters import parameter_profiles, reached, total_norm
from gradscope.measure._reach import reachable_loss
from gradscope.pytree import main_tensor
from gradscope.schema import Coverage, Estimate, LayerGraph, LayerProfile, Profile, Run, Subject
from gradscope.spectra import Sweep, solve_together

__all__ = ["attempts", "profile"]


def profile(
    subject: Subject,
    capture: Capture,
    config: Config,
    progress: Callable[[str, float], None] | None = None,
    *,
    has_spectra: bool = True,
    density: Sequence[str] = (),
) -> tuple[LayerGraph, Profile]:
    """Measure a subject; call it inside `borrow.borrowed`.

    Args:
        subject: what is measured.
        capture: `capture.graph`.
        config: tolerances and budgets.
        progress: is told (stage, fraction done).
        has_spectra: whether Jacobians of layers, blocks and the network are analysed too.
        density: patterns of the layers whose density of singular values is measured too; "network" is the network.

    Raises:
        GradscopeError: a pattern of `density` fits no layer.
        whatever the user's model raises in its forward pass, its loss or its backward pass.
    """
    report = progress or (lambda stage, fraction: None)
    report("forward", 0.0)
    batch = sample_count(subject.args, dict(subject.kwargs))
    sweep = _sweep(subject, config) if has_spectra else None
    before = random_states(subject.model)
    graph, run, instruments = _run(subject, capture, sweep, batch)
    choice = chosen(graph, density)
    has_drawn = random_states(subject.model) != before
    output = main_tensor(run.output)
    start = {
        "initial_loss": Estimate.exact(subject.loss(run.output, subject.targets).item(), "measured", batch or 1),
        "expected_loss": expected_loss(subject, output),
        "constant_loss": constant_loss(subject, output),
        "perfect_loss": perfect_loss(subject, output),
        "reachable_loss": reachable_loss(subject, graph, output),
        "samples": Estimate.exact(batch, "first dimension of the inputs") if batch else Estimate.unknown("no batch"),
        "output_variation": output_variation(output, batch),
        "output_noise": output_noise(subject, output, batch, has_drawn=has_drawn),
        "own_share": own_share(output, run.inputs, batch, subject.info.seed),
    }
    silent = instruments.silent()
    asleep = sleeping(graph, subject.model)
    with awakened(subject.model, asleep, subject.info.seed):
        if asleep:
            sweep = _sweep(subject, config) if has_spectra else None
            graph, run, instruments = _run(subject, capture, sweep, batch)
        report("backward", 0.4)
        gradients = _backward(subject, run)
        layers, gaps = instruments.layers(graph.nodes)
        parameters = parameter_profiles(subject.model, gradients)
        del run, output, gradients
        report("jacobians", 0.6)
        found = jacobians(subject, capture, config, batch, start["own_share"]) if has_spectra else Jacobians()
        if density:
            report("densities", 0.8)
        seen = densities(subject, capture, config, batch, choice)
    layers = tuple(_with_density(_with_growth(layer, found.growth), seen) for layer in layers)
    parameters = with_conformance(parameters, subject.model, graph, silent=silent, seed=subject.info.seed)
    if has_spectra and batch:
        start["jacobian_samples"] = Estimate.exact(min(batch, config.operator_samples), "first of the batch")
    network = {
        **start,
        "gradient_norm": total_norm(parameters),
        "gradient_gain": _gradient_gain(graph, layers),
        **found.network,
    }
    coverage = Coverage(
        layers=len(layers),
        layers_with_spectral_norm=sum(
            1 for layer in layers if layer.spectral_norm is not None and layer.spectral_norm.is_known
        ),
        parameters_reached=reached(parameters),
        capture=graph.how,
    )
    return graph, Profile(
        origin="measured",
        layers=layers,
        network=network,
        parameters=parameters,
        blocks=found.blocks,
        coverage=coverage,
        outputs=graph.outputs,
        gaps=(*graph.gaps, *gaps, *found.gaps, *awakening_gaps(asleep)),
        loss=subject.info.loss,
        density=seen.network,
    )


def _sweep(subject: Subject, config: Config) -> Sweep:
    sweep = Sweep(
        tolerance=config.spectral_tolerance,
        probability=1 - config.confidence,
        bounds=sum(p.ndim > 1 for p in subject.model.parameters()),
        is_certified=config.is_certified,
        seed=subject.info.seed,
    )
    solve_together(subject.model, sweep)
    return sweep


def _run(subject: Subject, capture: Capture, sweep: Sweep | None, batch: int) -> tuple[LayerGraph, Run, Instruments]:
    instruments = Instruments(batch, sweep)
    return *capture(subject, instruments), instruments


def _backward(subject: Subject, run: Run) -> dict[str, Tensor | None]:
    """Gradients of all parameters; on the way every layer's gradient goes to the instruments."""
    loss = subject.loss(run.output, subject.targets)
    named = [(n, p) for n, p in subject.model.named_parameters() if p.requires_grad]
    targets = [*(p for _, p in named), *run.inputs]
    gradients = torch.autograd.grad(loss, targets, allow_unused=True)
    return {name: g for (name, _), g in zip(named, gradients, strict=False)}


def _gradient_gain(graph: LayerGraph, layers: tuple[LayerProfile, ...]) -> Estimate:
    """Norm of the loss gradient where data enters, over its norm at the output: what is left of the signal."""
    last = [i for i in graph.ends if layers[i].gradient is not None] or graph.outputs
    ends = [layers[i] for i in last if layers[i].gradient is not None]
    starts = [
        layer
        for layer in layers
        if layer.gradient is not None and not any(layers[i].gradient is not None for i in layer.node.inputs)
        if layer.node.kind == "input" or layer.node.inputs
    ]
    if not ends or not starts:
        return Estimate.unknown("no gradient path from the output to an input")
    end = sum(_squared_norm(layer) for layer in ends)
    return Estimate.exact((sum(map(_squared_norm, starts)) / end) ** 0.5 if end else 0.0, "measured", len(starts))


def _squared_norm(layer: LayerProfile) -> float:
    assert layer.gradient is not None
    return layer.gradient.second_moment.value * layer.gradient.second_moment.n


def _with_growth(layer: LayerProfile, growth: Mapping[str, Estimate]) -> LayerProfile:
    found = growth.get(layer.name)
    return layer if found is None else replace(layer, quantities={**layer.quantities, "prefix_rms_gain": found})


def _with_density(layer: LayerProfile, seen: Densities) -> LayerProfile:
    found = seen.layers.get(layer.node.index)
    return layer if found is None else replace(layer, density=found)
