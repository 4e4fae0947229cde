"""The spectrum of one layer's Jacobian, and how rules build it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gradscope.schema import Estimate


@dataclass(frozen=True, slots=True)
class LayerSpectrum:
    """What is known of the singular values of one layer's Jacobian J at its real input.

    J maps all floating-point data inputs of the call together (never parameters; a tensor that is passed twice
    counts once) to its output. The batch is part of the input.

    Attributes:
        spectral_norm: largest singular value; None for a source, which has no Jacobian (embedding, argmax).
        rms_gain: √(‖J‖²_F / n) with n the number of entries of J's input: the root of the mean squared singular
            value, zeros included. None for a source.
        quantities: more by name: "stable_rank" = ‖J‖²_F / σ².
        gap: why it could not be analysed, in one sentence; None where it could.
    """

    spectral_norm: Estimate | None
    rms_gain: Estimate | None
    quantities: dict[str, Estimate] = field(default_factory=dict)
    gap: str | None = None


SOURCE = LayerSpectrum(None, None)


def gap(reason: str) -> LayerSpectrum:
    """An outcome for what could not be analysed."""
    return LayerSpectrum(None, None, gap=reason)


def spectrum(spectral_norm: Estimate, rms_gain: Estimate, columns: int) -> LayerSpectrum:
    """Spectral norm and rms gain of a Jacobian with `columns` input entries, and its stable rank."""
    return LayerSpectrum(spectral_norm, rms_gain, {"stable_rank": _stable_rank(spectral_norm, rms_gain, columns)})


def exact(spectral_norm: float, rms_gain: float, columns: int, method: str = "exact") -> LayerSpectrum:
    """A spectrum known in closed form."""
    return spectrum(Estimate.exact(spectral_norm, method), Estimate.exact(rms_gain, method), columns)


def nonfinite(method: str = "exact") -> LayerSpectrum:
    """The outcome at an input or weight that is not finite."""
    unknown = Estimate.unknown(method, "nonfinite")
    return LayerSpectrum(unknown, unknown)


def drawn_anew(found: LayerSpectrum) -> LayerSpectrum:
    """The spectrum, of which it is said that it belongs to other random numbers than those of the run."""
    if found.spectral_norm is None or found.rms_gain is None:
        return found
    estimates = [
        replace(e, method=f"{e.method} (random numbers drawn anew)") for e in (found.spectral_norm, found.rms_gain)
    ]
    return replace(found, spectral_norm=estimates[0], rms_gain=estimates[1])


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no entry is NaN or infinite: the sum tells in one pass, unless it overflows by itself."""
    return all(math.isfinite(abs(t.sum(dtype=_accumulator(t)).item())) or bool(t.isfinite().all()) for t in tensors)


def are_defined(tensors: Sequence[Tensor]) -> bool:
    """Whether no entry is NaN or plus infinity; minus infinity is how masks rule entries out."""
    return are_finite(tensors) or all(not t.is_complex() and bool((t < math.inf).all()) for t in tensors)


def _accumulator(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.dtype


def _stable_rank(norm: Estimate, gain: Estimate, columns: int) -> Estimate:
    method = f"{norm.method}; {gain.method}" if norm.method != gain.method else norm.method
    if not (norm.is_known and gain.is_known) or norm.value == 0:
        return Estimate.unknown(method, "not-applicable" if norm.value == 0 else norm.status)
    value = columns * (gain.value / norm.value) ** 2
    low = columns * (gain.low / norm.high) ** 2 if math.isfinite(norm.high) else 0.0
    high = columns * (gain.high / norm.low) ** 2 if norm.low > 0 else math.inf
    return Estimate(value, low, high, method, max(norm.n, gain.n))
