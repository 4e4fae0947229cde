"""Densities of singular values that were asked for, and how to read them: the same facts for every format."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.report._words import brief, count, estimate, number, share
from gradscope.schema import Density, Estimate, LayerProfile, Report

TITLE = "Singular values, on a logarithmic scale"


_ROUNDING = 1e-6
COLUMNS = ("below 1 %", "10 %", "median", "90 %", "largest", "spread of ln σ")


@dataclass(frozen=True, slots=True)
class Row:
    """One density: of the network, or of a call of a layer."""

    label: str
    op: str
    density: Density

    @property
    def cells(self) -> dict[str, str]:
        """The numbers in words, by column."""
        found = self.density
        quantiles = dict(zip(COLUMNS[1:4], ("0.1", "0.5", "0.9"), strict=True))
        return {
            COLUMNS[0]: share(found.below.value),
            **{title: _value(found, found.quantiles[q]) for title, q in quantiles.items()},
            COLUMNS[4]: number(found.edges[-1]),
            COLUMNS[5]: estimate(found.spread),
        }


def densities(report: Report) -> list[Row]:
    """All that were asked for: the network, then the layers in order of execution."""
    whole = [Row("network", "", report.profile.density)] if report.profile.density else []
    return whole + [_row(layer, layer.density) for layer in report.layers if layer.density]


def _row(layer: LayerProfile, density: Density) -> Row:
    again = f", call {layer.node.call + 1}" if layer.node.call else ""
    return Row(layer.label + again, layer.node.op, density)


def _value(density: Density, quantile: Estimate) -> str:
    """A number, unless it cannot be told from zero."""
    floor = density.edges[0]
    return f"< {number(floor)}" if quantile.value <= floor * (1 + _ROUNDING) else brief(quantile)


def legend(rows: list[Row]) -> str:
    """How to read the bars and the spread, and how both were computed."""
    bars = (
        "Density: the shares of singular values σ from 1 % of the largest seen up to it, ten bins a decade; smaller "
        "ones count as 1 %. Spread: standard deviation of ln σ, 0 at dynamical isometry."
    )
    iterated = [x.density.spread for x in rows if x.density.is_known and x.density.spread.method != "dense"]
    if not iterated:
        return bars
    probes = max(spread.n for spread in iterated)
    return f"{bars} Stochastic Lanczos quadrature from {count(probes, 'random vector')}, 99 % intervals."
