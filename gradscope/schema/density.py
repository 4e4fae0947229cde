"""How the singular values of one Jacobian lie on a logarithmic scale."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.schema.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Density:
    """The density of ln σ over the min(rows, columns) singular values σ of a Jacobian.

    Values below the first edge cannot be told from zero: they count as that edge in all of this.

    Attributes:
        mean: of ln σ; 0 for an isometry. Unknown where there is no density: its method says why.
        spread: standard deviation of ln σ: 0 at dynamical isometry, where all lengths are changed alike.
        below: share of the singular values below the first edge.
        quantiles: the σ that a share of the singular values does not exceed, by that share: "0.1", "0.5", "0.9".
        edges: of the bins, in σ: equal steps of ln σ that end at the largest value seen.
        shares: of the singular values in each bin; they sum to 1.
    """

    mean: Estimate
    spread: Estimate
    below: Estimate
    quantiles: dict[str, Estimate]
    edges: tuple[float, ...]
    shares: tuple[Estimate, ...]

    @classmethod
    def unknown(cls, reason: str) -> Density:
        """No density, and why."""
        nothing = Estimate.unknown(reason)
        return cls(nothing, nothing, nothing, {}, (), ())

    @property
    def is_known(self) -> bool:
        """Whether there is a density."""
        return self.spread.is_known
