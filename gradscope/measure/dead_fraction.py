"""Units of a rectifier that give zero for every sample and position: no gradient can revive them."""

from __future__ import annotations

from torch import Tensor

from gradscope.measure._quantity import Observation, quantity

_RECTIFIERS = frozenset({"ReLU", "relu", "ReLU6", "relu6", "Threshold", "threshold", "clamp_min"})
_MIN_OBSERVATIONS = 16  # of each unit: a healthy one is silent this often with probability 2^-16
_MAP_DIMS = 3  # from (B, C, L) on, dimension 1 holds the channels


@quantity(of="activation")
def dead_fraction(observation: Observation) -> Tensor | None:
    """Share of units whose output is zero on the whole batch, (B, C, *) or (..., D) -> ()."""
    x = observation.tensor
    if observation.op not in _RECTIFIERS or x.ndim < 2:
        return None
    unit = 1 if x.ndim > _MAP_DIMS else x.ndim - 1
    if x.numel() // x.shape[unit] < _MIN_OBSERVATIONS:
        return None
    largest = x.amax(dim=[d for d in range(x.ndim) if d != unit])
    return (largest <= 0).to(x.dtype).mean()
