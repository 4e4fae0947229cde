"""Memory over time: how much of the loss gradient reaches the first step of a sequence, against the last."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.measure._quantity import Observation, quantity

_SEQUENCE_DIMS = 3  # (B, T, D)
_MIN_STEPS = 4


@quantity(of="gradient")
def lag_gain(observation: Observation) -> Tensor | None:
    """Gradient norm in the first quarter of a sequence over that in the last, (B, T, D) -> ().

    At the input of a recurrent layer it is the gain of the Jacobian product over three quarters of the lag
    (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, eq. 5); zero means that early inputs cannot be learned from.
    """
    g = observation.tensor
    if g.ndim != _SEQUENCE_DIMS or g.shape[0] != observation.batch or g.shape[1] < _MIN_STEPS:
        return None
    quarter = g.shape[1] // 4
    first, last = (torch.linalg.vector_norm(part, dtype=torch.float64) for part in (g[:, :quarter], g[:, -quarter:]))
    return None if not bool(last > 0) else first / last
