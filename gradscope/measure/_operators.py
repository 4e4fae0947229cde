"""Jacobians between two layers of a live run as operators: of every block and of the whole network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from gradscope.config import Config
from gradscope.measure._tangents import Recording, Replay
from gradscope.pytree import main_tensor
from gradscope.schema import BlockProfile, Estimate, Gap, LayerCall, LayerGraph, Run
from gradscope.spectra import operator_spectrum

_AGREEMENT = 1e-3  # relative: two derivatives in float32 further apart are not of one function


class DisagreementError(Exception):
    """The two ways to differentiate do not give one operator."""


@dataclass(slots=True)
class JacobianOperator:
    """d(output) / d(inputs) between two places of a live run; dropout masks and batch statistics are those of the run.

    J v replays the run on tangents; where a call has no forward derivative, J v is the derivative of J^T u with
    respect to u, a second backward pass. J^T u is a backward pass over the part of the graph in between, until the
    replay has agreed with it; from then on one over the replay, which is linear and so has less to do.
    """

    output: Any  # autograd edge
    inputs: Sequence[Any]  # autograd edges
    output_like: Tensor
    input_likes: Sequence[Tensor]
    replay: Callable[[tuple[Tensor, ...]], Tensor] | None
    samples: int | None = None  # of the first dimension of all tensors, where the Jacobian is one operator for each
    _first: tuple[tuple[Tensor, ...], Tensor] | None = None  # v and J v
    _pulled: tuple[Tensor, tuple[Tensor, ...]] | None = None  # u and J^T u
    _tape: tuple[tuple[Tensor, ...], Tensor] | None = None  # a replay that can be differentiated
    _unchecked: int = 2  # kinds of J^T u that are not yet held against J v
    _tangent: tuple[Tensor, list[Tensor | None]] | None = None

    def rmatvec(self, u: Tensor) -> tuple[Tensor, ...]:
        """J^T u, one tensor per input."""
        is_replayed = self._tape is not None and self._unchecked < 2
        starts, end = self._tape if is_replayed and self._tape is not None else (self.inputs, self.output)
        found = torch.autograd.grad([end], starts, [u], retain_graph=True, allow_unused=True)
        pulled = tuple(
            torch.zeros_like(z) if g is None else g.detach() for g, z in zip(found, self.input_likes, strict=True)
        )
        if self._first is None:
            self._pulled = u, pulled
        elif self._unchecked > (0 if is_replayed else 1):
            self._check(u, pulled)
        return pulled

    def _check(self, u: Tensor, pulled: tuple[Tensor, ...]) -> None:
        assert self._first is not None, "J v is known"
        v, image = self._first
        forth = self._dots((u,), (image,))
        for i, (back, there) in enumerate(zip(self._dots(pulled, v), forth, strict=True)):
            if not math.isclose(back, there, rel_tol=_AGREEMENT):
                of_what = f" for sample {i}" if self.samples else ""
                raise DisagreementError(f"<J^T u, v> = {back:.6g} but <u, J v> = {there:.6g}{of_what}")
        self._unchecked -= 1

    def matvec(self, v: tuple[Tensor, ...]) -> Tensor:
        """J v."""
        if self._first is not None:
            return self.replay(v) if self.replay is not None else self._double_backward(v)
        image = self._double_backward(v) if self.replay is None else self._replayed(self.replay, v)
        self._first = v, image
        if self._pulled is not None:
            self._check(*self._pulled)
        return image

    def _replayed(self, replay: Callable[[tuple[Tensor, ...]], Tensor], v: tuple[Tensor, ...]) -> Tensor:
        """The first J v, which leaves its tape."""
        starts = tuple(x.detach().requires_grad_() for x in v)
        with torch.enable_grad():
            image = replay(starts)
        if image.requires_grad:
            self._tape = starts, image
        return image.detach()

    def has_samples(self, samples: int) -> bool:
        """Whether all tensors have so many samples, two or more, in their first dimension."""
        return samples > 1 and all(z.shape[:1] == (samples,) for z in (self.output_like, *self.input_likes))

    def is_separate(self, seed: int) -> bool:
        """Whether no output of the first sample depends on an input of the others; one backward pass."""
        u = torch.zeros_like(self.output_like)
        u[0] = torch.randn(u[0].shape, generator=torch.Generator().manual_seed(seed), dtype=u.dtype).to(u.device)
        return not any(bool(z[1:].any()) for z in self.rmatvec(u))

    def _dots(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> list[float]:
        """Inner products, one for every sample."""
        return sum(
            (x * y).reshape(self.samples or 1, -1).sum(1, dtype=torch.float64) for x, y in zip(a, b, strict=True)
        ).tolist()  # type: ignore[union-attr]

    def _double_backward(self, v: tuple[Tensor, ...]) -> Tensor:
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


class Trace(Recording):
    """A run's torch calls, and where in them every layer's output stands; an observer of that run too."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[int, tuple[Tensor, int]] = {}  # layer -> its main output, number of steps before it

    def forward(self, layer: int, call: LayerCall) -> None:
        """Note what the layer has just computed."""
        tensor = main_tensor(call.output)
        if tensor is not None:
            self.outputs[layer] = tensor, len(self.steps)

    def backward(self, layer: int, gradient: Tensor) -> None:
        """Nothing: backward passes are made on demand."""

    def release(self) -> None:
        """Let go of the run: its autograd graph refers to its observer, and a cycle would keep all of it alive."""
        self.steps.clear()
        self.outputs.clear()

    def replay(self, sources: Sequence[int], end: int) -> Callable[[tuple[Tensor, ...]], Tensor]:
        """J v from the outputs of some layers to that of a later one."""
        tensor, stop = self.outputs[end]
        starts = [self.outputs[i] for i in sources]
        carry = Replay(self.steps[min(position for _, position in starts) : stop], tensor)
        return lambda v: carry({id(t): _laid_like(x, t) for (t, _), x in zip(starts, v, strict=True)})


def roots(graph: LayerGraph, run: Run) -> list[int]:
    """The layers where differentiable data enters: floating-point inputs, or the embeddings of integer ones."""
    return [
        node.index
        for node in graph.nodes
        if node.index in run.edges
        and (node.kind == "input" or node.inputs)
        and not any(i in run.edges for i in node.inputs)
    ]


def _laid_like(tangent: Tensor, tensor: Tensor) -> Tensor:
    """The tangent in its tensor's layout, which the calls that follow were made for."""
    return tangent if tangent.stride() == tensor.stride() else torch.empty_like(tensor).copy_(tangent)


def separate_samples(graph: LayerGraph, run: Run, trace: Trace, samples: int, seed: int) -> int | None:
    """`samples`, if the Jacobian of the network is seen to be one operator for each of them; one backward pass."""
    sources, ends = roots(graph, run), [i for i in graph.outputs if i in run.edges]
    if not sources or not ends or ends[0] in sources:
        return None
    likes = [trace.outputs[i][0].detach() for i in sources]
    target = trace.outputs[ends[0]][0].detach()
    operator = JacobianOperator(run.edges[ends[0]], [run.edges[i] for i in sources], target, likes, None)
    return samples if operator.has_samples(samples) and operator.is_separate(seed) else None


def network_spectrum(
    graph: LayerGraph, run: Run, trace: Trace, config: Config, seed: int, samples: int | None = None
) -> dict[str, Estimate]:
    """The Jacobian from the roots to the main output: largest singular value, rms gain, stable rank, log spread.

    Args:
        samples: of the first dimension, where no sample depends on another.
    """
    sources = roots(graph, run)
    ends = [i for i in graph.outputs if i in run.edges]
    if not sources or not ends or ends[0] in sources:
        unknown = Estimate.unknown("no differentiable path from an input to the output")
        return {"jacobian_spectral_norm": unknown, "jacobian_rms_gain": unknown}
    iterations, probes = effort(trace, config)
    norm, gain, more = _spectrum(run, sources, ends[0], trace, iterations, config, seed, samples, probes)
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
    likes = [trace.outputs[i][0].detach() for i in sources]
    target, columns = trace.outputs[end][0].detach(), sum(z.numel() for z in likes)
    is_wide = target.numel() < columns

    def start() -> Tensor | tuple[Tensor, ...]:
        drawn = tuple(
            torch.randn(z.shape, generator=generator, dtype=z.dtype).to(z.device)
            for z in ([target] if is_wide else likes)
        )
        return drawn[0] if is_wide else drawn

    starts = [start() for _ in range(probes)]
    whole = JacobianOperator(run.edges[end], [run.edges[i] for i in sources], target, likes, None)
    ways = (samples, None) if samples is not None and whole.has_samples(samples) else (None,)
    failures = []
    for replay, way in product((trace.replay(sources, end), None), ways):
        operator = replace(whole, replay=replay, samples=way)
        sides = (operator.rmatvec, operator.matvec) if is_wide else (operator.matvec, operator.rmatvec)
        try:
            found = operator_spectrum(
                *sides,  # pyright: ignore[reportArgumentType]
                starts[0],
                columns=columns,
                probes=starts[1:],
                tolerance=config.spectral_tolerance,
                probability=1 - config.confidence,
                iterations=iterations,
                samples=operator.samples,
            )
        except (
            RuntimeError,
            NotImplementedError,
            DisagreementError,
        ) as error:  # a call has no such derivative
            failures.append(str(error).splitlines()[0])
            continue
        assert found.spectral_norm is not None and found.rms_gain is not None, "an operator is never a source"
        return found.spectral_norm, found.rms_gain, found.quantities
    reason = "no Jacobian product: " + "; ".join(failures)
    return Estimate.unknown(reason), Estimate.unknown(reason), {}
