"""Everything that is read off one layer while the model runs: the observer of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gradscope.measure._moments import as_moments, moments_of
from gradscope.measure._quantity import QUANTITIES, Observation, Of, Quantity
from gradscope.pytree import main_tensor
from gradscope.schema import Estimate, Gap, LayerCall, LayerNode, LayerProfile, Moments
from gradscope.spectra import LayerSpectrum, Sweep, layer_spectrum


@dataclass(slots=True)
class _Record:
    """What one layer gave so far; quantities stay on the device until the end."""

    activation: tuple[float, ...] | None = None
    gradient: tuple[float, ...] | None = None
    elements: int = 0
    spectrum: LayerSpectrum | None = None
    names: list[str] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


class Instruments:
    """Measures every layer as it runs, forward and backward.

    Args:
        batch: number of samples in the batch; 0 if unknown.
        sweep: state of the spectral analysis; None leaves spectra out.
    """

    def __init__(self, batch: int, sweep: Sweep | None) -> None:
        self._batch = batch
        self._sweep = sweep
        self._records: dict[int, _Record] = {}
        self._ops: dict[int, str] = {}
        self._quantities: dict[Of, list[Quantity]] = {
            of: [q for q in QUANTITIES if q.of == of] for of in ("activation", "gradient")
        }

    def forward(self, layer: int, call: LayerCall) -> None:
        """A layer has run: its moments, its quantities, the spectrum of its Jacobian."""
        record = self._records.setdefault(layer, _Record())
        self._ops[layer] = call.op
        with torch._C.DisableTorchFunction():  # nothing in here is the model's: no mode needs to see it
            tensor = _plain(call.output)
            if tensor is not None:
                record.activation, record.elements = moments_of(tensor), tensor.numel()
                self._compute("activation", Observation(call.op, tensor, self._batch), record)
        if self._sweep is not None and call.op != "input":
            record.spectrum = layer_spectrum(call, self._sweep)

    def backward(self, layer: int, gradient: Tensor) -> None:
        """The gradient at a layer's output has arrived."""
        with torch._C.DisableTorchFunction():
            tensor = _plain(gradient)
            if tensor is not None:
                record = self._records[layer]
                record.gradient = moments_of(tensor)
                self._compute("gradient", Observation(self._ops[layer], tensor, self._batch), record)

    def _compute(self, of: Of, observation: Observation, record: _Record) -> None:
        for quantity in self._quantities[of]:
            value = quantity.compute(observation)
            if value is not None:
                record.names.append(quantity.name)
                record.values.append(value)

    def silent(self) -> frozenset[int]:
        """Indices of the layers whose output was zero in every element."""
        shown = [(i, r.activation) for i, r in self._records.items() if r.activation is not None]
        return frozenset(i for i, moments in shown if moments[4] == 1.0)

    def layers(self, nodes: Sequence[LayerNode]) -> tuple[tuple[LayerProfile, ...], tuple[Gap, ...]]:
        """What was measured, layer by layer, and the layers whose Jacobian could not be analysed."""
        gaps = []
        profiles = []
        for node in nodes:
            record = self._records.get(node.index, _Record())
            spectrum = record.spectrum
            if spectrum is not None and spectrum.gap is not None:
                gaps.append(Gap(node.name, spectrum.gap))
            values = torch.stack([v.double().cpu() for v in record.values]).tolist() if record.values else []
            quantities = {
                name: Estimate.exact(value, "measured", record.elements)
                for name, value in zip(record.names, values, strict=True)
            }
            profiles.append(
                LayerProfile(
                    node=node,
                    activation=_moments(record.activation, record.elements),
                    gradient=_moments(record.gradient, record.elements),
                    spectral_norm=spectrum.spectral_norm if spectrum else None,
                    rms_gain=spectrum.rms_gain if spectrum else None,
                    quantities={**quantities, **(spectrum.quantities if spectrum else {})},
                )
            )
        return tuple(profiles), tuple(gaps)


def _moments(values: tuple[float, ...] | None, elements: int) -> Moments | None:
    return None if values is None else as_moments(values, elements)


def _plain(value: object) -> Tensor | None:
    """The main floating-point tensor of an output as a dense real one in at least float32; None if there is none."""
    tensor = main_tensor(value)
    if (
        tensor is None
        or tensor.numel() == 0
        or tensor.is_nested
        or not (tensor.is_floating_point() or tensor.is_complex())
    ):
        return None
    tensor = tensor.detach()
    tensor = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    tensor = tensor.to_dense() if tensor.layout != torch.strided else tensor
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
