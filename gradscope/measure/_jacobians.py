"""Jacobians of the network, of its prefixes and of its blocks, on a few samples of the batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscope.config import Config
from gradscope.measure._capture import Capture
from gradscope.measure._growth import prefix_gains
from gradscope.measure._operators import Trace, block_spectra, network_spectrum, separate_samples
from gradscope.pytree import map_tensors
from gradscope.schema import BlockProfile, Estimate, Gap, Subject


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
            with trace:
                graph, run = capture(small, trace, keep_edges=True)
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


def _first_samples(subject: Subject, batch: int, samples: int) -> Subject:
    """The same subject on the first few samples, where the batch dimension is known."""
    if batch <= samples:
        return subject
    args, kwargs = map_tensors((subject.args, dict(subject.kwargs)), lambda tensor: tensor[:samples])
    return replace(subject, args=args, kwargs=kwargs)
