"""Units that compute the same: symmetric weights give them the same gradient, and they never part."""

from __future__ import annotations

import torch
from torch import Tensor

from gradscope.measure._quantity import Observation, quantity

_DENSE = frozenset({"Linear", "linear"})
_CONVOLUTIONS = frozenset({"Conv1d", "Conv2d", "Conv3d", "conv1d", "conv2d", "conv3d"})
_MOST_UNITS = 512  # compared with each other; of a wider layer the first are
_ENOUGH = 256  # samples and positions at which they are compared
_MAP_DIMS = 3  # from (B, C, L) on, dimension 1 holds the channels of a convolution
_SAME = 1e-5  # relative distance: float32 sums of equal terms in another order differ by less


@quantity(of="activation")
def duplicate_fraction(observation: Observation) -> Tensor | None:
    """Share of a weighted layer's units that some earlier unit equals throughout, (B, C, *) or (..., D) -> ().

    Equal rows of a weight matrix stay equal under every gradient method if what follows treats them alike
    (Goodfellow et al. 2016, Deep Learning, section 8.4). Units that are zero everywhere are left out:
    branches start at zero on purpose.
    """
    x = observation.tensor
    if observation.op not in _DENSE | _CONVOLUTIONS or x.ndim < 2:
        return None
    if observation.op in _CONVOLUTIONS and x.ndim >= _MAP_DIMS:
        maps = x.flatten(2)  # (samples, units, positions)
        step = max(1, maps.shape[0] * maps.shape[2] // _ENOUGH)
        rows = maps[:, :_MOST_UNITS, ::step].movedim(1, 0).flatten(1).double()  # (units, observations)
    else:
        vectors = x.flatten(0, -2)  # (observations, units)
        rows = vectors[:: max(1, len(vectors) // _ENOUGH), :_MOST_UNITS].T.double()
    if min(rows.shape) < 2:
        return None
    direction = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = rows[(rows @ direction.to(rows.device)).argsort()]  # equal units become neighbours
    norms = rows.norm(dim=1)
    is_same = (rows[1:] - rows[:-1]).norm(dim=1) < _SAME * torch.maximum(norms[1:], norms[:-1])
    return is_same.sum() / (len(rows) - 1)
