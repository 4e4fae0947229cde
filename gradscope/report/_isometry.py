"""How far the network's Jacobian is from keeping lengths, in one line for every format."""

from __future__ import annotations

from gradscope.report._words import estimate
from gradscope.schema import Report


def isometry(report: Report) -> str | None:
    """Largest singular value, stable rank and spread of the logarithms; None where they were not measured."""
    network = report.network
    norm, rank = network.get("jacobian_spectral_norm"), network.get("jacobian_stable_rank")
    density = report.profile.density  # from more products than the network's other quantities
    spread = density.spread if density and density.is_known else network.get("jacobian_log_spread")
    if norm is None or spread is None or not (norm.is_known and spread.is_known):
        return None
    return (
        f"largest singular value {estimate(norm)}, stable rank {estimate(rank)}, spread of ln σ {estimate(spread)} "
        "(0 where all lengths are kept alike)"
    )
