"""Cosine between the positions of a sequence: 1 means that all tokens have collapsed to one direction."""

from __future__ import annotations

from torch import Tensor

from gradscope.measure._quantity import Observation, quantity
from gradscope.measure.sample_cosine import mean_pairwise_cosine

_SEQUENCE_DIMS = 3  # (B, T, D)


@quantity(of="activation")
def token_cosine(observation: Observation) -> Tensor | None:
    """Mean over samples of the mean cosine between different positions, (B, T, D) -> ().

    Rank collapse of attention (Dong et al. 2021, arXiv:2103.03404) shows here while all variances look well.
    """
    x = observation.tensor
    if x.ndim != _SEQUENCE_DIMS or x.shape[0] != observation.batch or x.shape[1] < 2:
        return None
    return mean_pairwise_cosine(x).mean()
