"""Jacobians between two layers of a live run as operators: of every block and of the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradscope.config import Config
from gradscope.schema import BlockProfile, Estimate, Gap, LayerGraph, Run
from gradscope.spectra import operator_spectrum


@dataclass(slots=True)
class JacobianOperator:
    """d(outputs) / d(inputs) between edges of a live autograd graph.

    J^T u is a backward pass over the part of the graph in between; J v is the derivative of J^T u with
    respect to u, which costs a second backward pass through it (Pearlmutter 1994's trick, transposed).
    Dropout masks and batch statistics are those of the run.
    """

    output: Any  # autograd edge
    inputs: Sequence[Any]  # autograd edges
    output_like: Tensor
    input_likes: Sequence[Tensor]
    _tangent: tuple[Tensor, list[Tensor | None]] | None = None

    def rmatvec(self, u: Tensor) -> tuple[Tensor, ...]:
        """J^T u, one tensor per input."""
        found = torch.autograd.grad([self.output], self.inputs, [u], retain_graph=True, allow_unused=True)
        return tuple(
            torch.zeros_like(z) if g is None else g.detach() for g, z in zip(found, self.input_likes, strict=True)
        )

    def matvec(self, v: tuple[Tensor, ...]) -> Tensor:
        """J v."""
        if self._tangent is None:
            u = torch.zeros_like(self.output_like, requires_grad=True)
            pulled = torch.autograd.grad([self.output], self.inputs, [u], create_graph=True, allow_unused=True)
            self._tangent = u, list(pulled)
        u, pulled = self._tangent
        pairs = [(g, x) for g, x in zip(pulled, v, strict=True) if g is not None and g.requires_grad]
        if not pairs:
            return torch.zeros_like(self.output_like)
        grads, vectors = zip(*pairs, strict=True)
        (found,) = torch.autograd.grad(grads, [u], vectors, retain_graph=True, allow_unused=True)
        return torch.zeros_like(self.output_like) if found is None else found.detach()


def roots(graph: LayerGraph, run: Run) -> list[int]:
    """The layers where differentiable data enters: floating-point inputs, or the embeddings of integer ones."""
    return [
        node.index
        for node in graph.nodes
        if node.index in run.edges
        and (node.kind == "input" or node.inputs)
        and not any(i in run.edges for i in node.inputs)
    ]


def network_spectrum(graph: LayerGraph, run: Run, like: Tensor, config: Config, seed: int) -> dict[str, Estimate]:
    """Largest singular value and rms gain of the Jacobian from the roots to the main output."""
    sources = roots(graph, run)
    ends = [i for i in graph.outputs if i in run.edges]
    if not sources or not ends or ends[0] in sources:
        unknown = Estimate.unknown("no differentiable path from an input to the output")
        return {"jacobian_spectral_norm": unknown, "jacobian_rms_gain": unknown}
    norm, gain = _spectrum(graph, run, sources, ends[0], like, config.network_iterations, config, seed)
    return {"jacobian_spectral_norm": norm, "jacobian_rms_gain": gain}


def block_spectra(
    graph: LayerGraph, run: Run, like: Tensor, config: Config, seed: int
) -> tuple[tuple[BlockProfile, ...], tuple[Gap, ...]]:
    """The same for every block, from its entry to its merge."""
    profiles, gaps = [], []
    for block in graph.blocks:
        if block.entry not in run.edges or block.exit not in run.edges:
            profiles.append(BlockProfile(block))
            continue
        norm, gain = _spectrum(graph, run, [block.entry], block.exit, like, config.block_iterations, config, seed)
        if not norm.is_known:
            gaps.append(Gap(f"block {block.name}", norm.method))
        profiles.append(BlockProfile(block, norm, gain))
    return tuple(profiles), tuple(gaps)


def _spectrum(
    graph: LayerGraph,
    run: Run,
    sources: Sequence[int],
    end: int,
    like: Tensor,
    iterations: int,
    config: Config,
    seed: int,
) -> tuple[Estimate, Estimate]:
    def empty(node: int) -> Tensor:
        dtype = getattr(torch, graph.nodes[node].dtype)
        return torch.zeros(graph.nodes[node].shape, dtype=dtype, device=like.device)

    operator = JacobianOperator(
        run.edges[end], [run.edges[i] for i in sources], empty(end), [empty(i) for i in sources]
    )
    generator = torch.Generator().manual_seed(seed)
    start = tuple(torch.randn(z.shape, generator=generator, dtype=z.dtype).to(z.device) for z in operator.input_likes)
    try:
        found = operator_spectrum(
            operator.matvec,
            operator.rmatvec,
            start,
            tolerance=config.spectral_tolerance,
            probability=1 - config.confidence,
            iterations=iterations,
        )
    except (RuntimeError, NotImplementedError) as error:  # an op on the way has no second derivative
        reason = f"no Jacobian product: {str(error).splitlines()[0]}"
        return Estimate.unknown(reason), Estimate.unknown(reason)
    assert found.spectral_norm is not None and found.rms_gain is not None, "an operator is never a source"
    return found.spectral_norm, found.rms_gain
