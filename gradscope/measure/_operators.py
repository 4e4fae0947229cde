"""Jacobians between two layers of a live run as operators: of every block and of the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import torch

from gradscope.config import Config
from gradscope.measure._jacobian_operator import DisagreementError, JacobianOperator
from gradscope.measure._trace import Trace
from gradscope.schema import BlockProfile, Estimate, Gap, LayerGraph, Run
from gradscope.spectra import operator_spectrum


def roots(graph: LayerGraph, run: Run) -> list[int]:
    """The layers where differentiable data enters: floating-point inputs, or the embeddings of integer ones."""
    return [
        node.index
        for node in graph.nodes
        if node.index in run.edges
        and (node.kind == "input" or node.inputs)
        and not any(i in run.edges for i in node.inputs)
    ]


def ends(graph: LayerGraph, run: Run) -> tuple[list[int], int] | None:
    """The roots and the main output; None where no differentiable path leads from one to the other."""
    sources, last = roots(graph, run), [i for i in (*graph.ends, *graph.outputs) if i in run.edges]
    return None if not sources or not last or last[0] in sources else (sources, last[0])


def separate_samples(graph: LayerGraph, run: Run, trace: Trace, samples: int, seed: int) -> int | None:
    """`samples`, if the Jacobian of the network is seen to be one operator for each of them; one backward pass."""
    found = ends(graph, run)
    if found is None:
        return None
    operator = JacobianOperator.between(run, trace, *found)
    return samples if operator.has_samples(samples) and operator.is_separate(seed) else None


def network_spectrum(
    graph: LayerGraph, run: Run, trace: Trace, config: Config, seed: int, samples: int | None = None
) -> dict[str, Estimate]:
    """The Jacobian from the roots to the main output: largest singular value, rms gain, stable rank, log spread.

    Args:
        samples: of the first dimension, where no sample depends on another.
    """
    found = ends(graph, run)
    if found is None:
        unknown = Estimate.unknown("no differentiable path from an input to the output")
        return {"jacobian_spectral_norm": unknown, "jacobian_rms_gain": unknown}
    iterations, probes = effort(trace, config)
    norm, gain, more = _spectrum(run, *found, trace, iterations, config, seed, samples, probes)
    named = {"jacobian_spectral_norm": norm, "jacobian_rms_gain": gain}
    return named | {f"jacobian_{name}": value for name, value in more.items()}


def effort(trace: Trace, config: Config) -> tuple[int, int]:
    """How many steps a run over the network may take, and from how many start vectors: few for a large one."""
    step = 2 * sum(tensor.numel() for tensor, _ in trace.outputs.values())  # there and back
    iterations = min(config.network_iterations_most, int(config.network_work / max(1, step)))
    iterations = max(config.network_iterations, iterations)
    affordable = config.network_probes * iterations * step <= config.network_work
    return iterations, config.network_probes if affordable else 1


def block_spectra(
    graph: LayerGraph, run: Run, trace: Trace, config: Config, seed: int, samples: int | None = None
) -> tuple[tuple[BlockProfile, ...], tuple[Gap, ...]]:
    """The same for every block, from its entry to its merge."""
    profiles, gaps = [], []
    iterations = min(effort(trace, config)[0], config.block_iterations)
    for block in graph.blocks:
        if block.entry not in run.edges or block.exit not in run.edges:
            profiles.append(BlockProfile(block))
            continue
        norm, gain, _ = _spectrum(run, [block.entry], block.exit, trace, iterations, config, seed, samples)
        if not norm.is_known:
            gaps.append(Gap(f"block {block.name}", norm.method))
        profiles.append(BlockProfile(block, norm, gain))
    return tuple(profiles), tuple(gaps)


def _spectrum(
    run: Run,
    sources: Sequence[int],
    end: int,
    trace: Trace,
    iterations: int,
    config: Config,
    seed: int,
    samples: int | None,
    probes: int = 1,
) -> tuple[Estimate, Estimate, dict[str, Estimate]]:
    """(spectral norm, rms gain, more by name) of the Jacobian from the sources to the end.

    Where it is said to be one operator for each of some samples, the products are checked for each, too.
    """
    generator = torch.Generator().manual_seed(seed)
    whole = JacobianOperator.between(run, trace, sources, end)
    starts = [whole.start(generator) for _ in range(probes)]
    ways = (samples, None) if samples is not None and whole.has_samples(samples) else (None,)
    failures = []
    for replay, way in product((trace.replay(sources, end), None), ways):
        operator = replace(whole, replay=replay, samples=way)
        try:
            found = operator_spectrum(
                *operator.sides,
                starts[0],
                columns=operator.columns,
                probes=starts[1:],
                tolerance=config.spectral_tolerance,
                probability=1 - config.confidence,
                iterations=iterations,
                samples=operator.samples,
            )
        except (RuntimeError, NotImplementedError, DisagreementError) as error:  # a call has no such derivative
            failures.append(str(error).splitlines()[0])
            continue
        assert found.spectral_norm is not None and found.rms_gain is not None, "an operator is never a source"
        return found.spectral_norm, found.rms_gain, found.quantities
    reason = "no Jacobian product: " + "; ".join(failures)
    return Estimate.unknown(reason), Estimate.unknown(reason), {}
