"""Directions in which the samples of a batch differ: zero where a single number is all that is left of an input."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.measure._quantity import Observation, quantity

_LEAST = 4  # samples, and features: of fewer the rank says little
_MOST_SAMPLES = 64  # the Gram matrix is quadratic in them


@quantity(of="activation")
def sample_rank(observation: Observation) -> Tensor | None:
    """Effective rank of the centred samples, from 0 (one direction) to 1 (as many as there can be), (B, ...) -> ().

    With eigenvalues l_i of the Gram matrix of the centred samples the effective rank is the participation ratio
    r = (sum l)^2 / sum l^2; with n = min(B - 1, D) this is (r - 1) / (n - 1). Zero where all samples are equal.
    """
    x, batch = observation.tensor, observation.batch
    if batch < _LEAST or x.ndim < 2 or x.shape[0] != batch or x[0].numel() < _LEAST:
        return None
    rows = x[:_MOST_SAMPLES].flatten(1).double()
    centred = rows - rows.mean(0)
    gram = centred @ centred.T
    trace, squared = gram.diagonal().sum(), gram.square().sum()
    if not bool(squared > 0):
        return torch.zeros((), dtype=torch.float64)
    most = min(len(rows) - 1, rows.shape[1])
    return ((trace.square() / squared - 1) / (most - 1)).clamp_min(0)
