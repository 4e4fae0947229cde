"""Outputs of a bounded activation that sit at its bounds, where its derivative vanishes."""

from __future__ import annotations

from torch import Tensor

from gradscope.measure._quantity import Observation, quantity

_MARGIN = 0.03  # of the range: |tanh| > 0.97, sigmoid outside [0.03, 0.97]
_RANGES = {
    "Tanh": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
    "Sigmoid": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "Hardtanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "Hardsigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}


@quantity(of="activation")
def saturated_fraction(observation: Observation) -> Tensor | None:
    """Share of outputs within 3 % of the bounds of a tanh, sigmoid or the like, any shape -> ()."""
    bounds = _RANGES.get(observation.op)
    if bounds is None:
        return None
    low, high = bounds
    margin = _MARGIN * (high - low) / 2 if low < 0 else _MARGIN
    middle, half = (low + high) / 2, (high - low) / 2
    return ((observation.tensor - middle).abs() > half - margin).to(observation.tensor.dtype).mean()
