"""Jacobians of the network, of its prefixes and of its blocks, on a few samples of the batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscope.config import Config
from gradscope.measure._capture import Capture
from gradscope.measure._growth import prefix_gains
from gradscope.measure._operators import block_spectra, network_spectrum, separate_samples
from gradscope.measure._trace import Trace
from gradscope.pytree import map_tensors
from gradscope.schema import BlockProfile, Estimate, Gap, LayerGraph, Run, Subject

_OF_MEMORY = ("as_strided", "as_strided_", "set_", "stride", "is_contiguous")


@dataclass(frozen=True, slots=True)
class Jacobians:
    """What is known of all Jacobians but those of single layers.

    Attributes:
        network: quantities of the whole network's, by name.
        growth: rms gain of the Jacobian from the input to each layer, by the layer's name.
        blocks: the blocks' spectra.
        gaps: what could not be analysed.
    """

    network: dict[str, Estimate] = field(default_factory=dict)
    growth: dict[str, Estimate] = field(default_factory=dict)
    blocks: tuple[BlockProfile, ...] = ()
    gaps: tuple[Gap, ...] = ()


def jacobians(subject: Subject, capture: Capture, config: Config, batch: int, own: Estimate) -> Jacobians:
    """Run the model once more, on a few samples, and solve; attention on the kernel with second derivatives.

    Args:
        subject: what is measured.
        capture: `capture.graph`.
        config: budgets.
        batch: number of samples in the batch; 0 if unknown.
        own: `_dependence.own_share` of the whole batch.
    """
    small = _first_samples(subject, batch, config.operator_samples)
    trace = Trace()
    with sdpa_kernel(SDPBackend.MATH):
        try:
            graph, run = recorded(small, capture, trace)
            seed = subject.info.seed
            samples = min(batch, config.operator_samples)
            if own.is_known:
                separate = samples if own.value == 1 else None
            else:
                separate = separate_samples(graph, run, trace, samples, seed)
            network = network_spectrum(graph, run, trace, config, seed, separate)
            growth = prefix_gains(graph, run, trace, config, seed)
            blocks, gaps = block_spectra(graph, run, trace, config, seed, separate)
        finally:
            trace.release()
    norm = network["jacobian_spectral_norm"]
    return Jacobians(network, growth, blocks, gaps if norm.is_known else (*gaps, Gap("network", norm.method)))


def recorded(subject: Subject, capture: Capture, trace: Trace) -> tuple[LayerGraph, Run]:
    """Run the model under `trace`, with images in the layout of memory that convolutions are fastest in.

    Only code that asks how its tensors lie in memory can tell; such a model is run as it is given.
    """
    if any(isinstance(module, nn.Conv2d) for module in subject.model.modules()):
        args, kwargs = map_tensors((subject.args, dict(subject.kwargs)), _channels_last)
        try:
            with trace:
                found = capture(replace(subject, args=args, kwargs=kwargs), trace, keep_edges=True)
        except RuntimeError:  # a view that this layout does not have; any other failure comes again below
            trace.release()
        else:
            if not any(step.function.__name__ in _OF_MEMORY for step in trace.steps):
                return found
            trace.release()
    with trace:
        return capture(subject, trace, keep_edges=True)


def _channels_last(tensor: Tensor) -> Tensor:
    is_image = tensor.ndim == 4 and tensor.is_floating_point()
    return tensor.contiguous(memory_format=torch.channels_last) if is_image else tensor


def _first_samples(subject: Subject, batch: int, samples: int) -> Subject:
    """The same subject on the first few samples, where the batch dimension is known."""
    if batch <= samples:
        return subject
    args, kwargs = map_tensors((subject.args, dict(subject.kwargs)), lambda tensor: tensor[:samples])
    return replace(subject, args=args, kwargs=kwargs)
