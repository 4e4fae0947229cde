"""Directions in which the samples of a batch differ: one means that a single number is all that is left of an input."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.measure._quantity import Observation, quantity

_MIN_SAMPLES = 4
_ENOUGH = 4096  # features of each, evenly spaced
_MOST_SAMPLES = 64  # the Gram matrix is cubic in them


@quantity(of="activation")
def sample_rank(observation: Observation) -> Tensor | None:
    """Participation ratio of the centred samples over the most it can be, (B, ...) -> () in 0..1.

    With eigenvalues l_i of the Gram matrix of the centred samples it is (sum l)^2 / sum l^2 (the effective number
    of dimensions), divided by min(B - 1, D). Zero where all samples are equal.
    """
    x, batch = observation.tensor, observation.batch
    if batch < _MIN_SAMPLES or x.ndim < 2 or x.shape[0] != batch:
        return None
    features = x[:_MOST_SAMPLES].flatten(1)
    rows = features[:, :: max(1, features.shape[1] // _ENOUGH)].double()
    centred = rows - rows.mean(0)
    gram = centred @ centred.T
    trace, squared = gram.diagonal().sum(), gram.square().sum()
    if not bool(squared > 0):
        return torch.zeros((), dtype=torch.float64)
    return trace.square() / squared / min(len(rows) - 1, rows.shape[1])
