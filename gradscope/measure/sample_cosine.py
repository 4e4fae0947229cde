"""Cosine between the samples of a batch: 1 means that every input looks the same to the layers behind."""

from __future__ import annotations

from torch import Tensor

from gradscope.measure._quantity import Observation, quantity

_MIN_SAMPLES = 2


@quantity(of="activation")
def sample_cosine(observation: Observation) -> Tensor | None:
    """Mean cosine over all pairs of different samples, (B, ...) -> ().

    With unit vectors u_i = x_i / |x_i| the mean over pairs is (|sum u_i|^2 - B) / (B (B - 1)): one pass. It is
    the correlation c of mean-field theory (Poole et al. 2016, arXiv:1606.05340, eq. 4).
    """
    x, batch = observation.tensor, observation.batch
    if batch < _MIN_SAMPLES or x.ndim < 2 or x.shape[0] != batch:
        return None
    return mean_pairwise_cosine(x.flatten(1))


def mean_pairwise_cosine(rows: Tensor) -> Tensor:
    """Mean cosine between different rows, (..., n, d) -> (...); rows of zeros have cosine 0 with all others."""
    n = rows.shape[-2]
    norms = rows.norm(dim=-1)  # (..., n)
    weights = norms.reciprocal().masked_fill(norms == 0, 0.0)
    total = (weights.unsqueeze(-2) @ rows).squeeze(-2)  # (..., d)
    present = (norms > 0).sum(-1)
    return (total.square().sum(-1) - present) / (n * (n - 1))
