"""Hand-made densities: an isometry, half of it dead, and a layer that has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradscope.schema import Density, Estimate, Report
from tests.report import fixtures


def density(shares: list[float], *, largest: float, spread: Estimate) -> Density:
    edges = np.geomspace(largest / 100, largest, len(shares) + 1).tolist()
    ends = np.cumsum(shares)
    quantiles = {
        f"{q:g}": Estimate.exact(edges[int(np.searchsorted(ends, q)) + 1] if ends[0] < q else edges[0])
        for q in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
    }
    return Density(
        Estimate.exact(0.0),
        spread,
        Estimate.exact(shares[0]),
        quantiles,
        tuple(edges),
        tuple(map(Estimate.exact, shares)),
    )


ISOMETRY = density([0.0] * 19 + [1.0], largest=1.0, spread=Estimate.exact(0.0, "dense", 60))
HALF = density(
    [0.4, *[0.0] * 9, *[0.05] * 8, 0.2, 0.0], largest=2.0, spread=Estimate(1.2, 1.1, 1.3, "lanczos quadrature", 4)
)


def report() -> Report:
    healthy = fixtures.healthy()
    assert healthy.measured is not None
    found = (ISOMETRY, HALF, Density.unknown("a source: nothing differentiable enters it"))
    layers = tuple(replace(x, density=d) for x, d in zip(healthy.layers, found, strict=False))
    return replace(healthy, measured=replace(healthy.measured, layers=(*layers, *healthy.layers[3:]), density=HALF))
