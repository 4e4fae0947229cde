"""From samples and outcomes to `risk.json`, the coefficients that the verdict reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

import gradscope.diagnose
from gradscope.diagnose._features import FEATURES
from gradscope.diagnose._risk import BASES, Basis, Head, Model, Ramp, Seen
from tests.corpus import split, store
from tests.corpus.labels import Outcome, label
from tests.corpus.store import Row
from tests.scorecard import features
from tests.scorecard.features import Sample
from tests.scorecard.fit import KNOTS, Additive, Array, calibrated

COEFFICIENTS = Path(gradscope.diagnose.__file__).with_name("risk.json")
COMMAND = "make scorecard"

POINTS = 100
"""Models of the corpus that stand for all of it."""

FAR = 1.5
"""Times the distance at which all but a hundredth of the models lie from those of other families."""

SPREADS = 4.0
"""Parts of a feature's curve that count as much as one standard deviation, for features that hardly vary."""

NEVER: frozenset[Outcome] = frozenset({"never"})
NOT_FULLY: frozenset[Outcome] = frozenset({"never", "degraded"})


def columns(samples: Sequence[Sample], basis: Basis) -> dict[str, Array]:
    """Features by name over all samples; NaN is unknown."""
    return {name: np.array([s.features[basis][name] for s in samples], dtype=float) for name in FEATURES}


def outcomes(rows: Sequence[Row]) -> dict[str, Outcome]:
    """What became of each configuration."""
    return {row.key: label(row).outcome for row in rows}


def build(samples: Sequence[Sample], rows: Sequence[Row]) -> Model:
    """Fit all heads to the samples whose role is "fit"."""
    family = {row.key: row.family for row in rows if split.role(row) == "fit"}
    fitted = [s for s in samples if s.key in family]
    became = outcomes(rows)
    families = np.array([family[s.key] for s in fitted])

    def heads(bad: frozenset[Outcome]) -> dict[Basis, Head]:
        is_bad = np.array([became[s.key] in bad for s in fitted], dtype=float)
        return {basis: _head(calibrated(columns(fitted, basis), is_bad, families)) for basis in BASES}

    return Model(
        provenance={
            "command": COMMAND,
            "outcomes": hashlib.sha256(store.OUTCOMES.read_bytes()).hexdigest(),
            "features": hashlib.sha256(features.FEATURES.read_bytes()).hexdigest(),
            "models": str(len(fitted)),
        },
        never=heads(NEVER),
        not_fully=heads(NOT_FULLY),
        seen=_seen(fitted, families),
    )


def write(model: Model, path: Path = COEFFICIENTS) -> None:
    """Coefficients to six digits, one a line."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(model), indent=1) + b"\n")


def _head(additive: Additive) -> Head:
    def digits(value: float) -> float:
        return float(f"{value:.6g}")

    ramps = zip(additive.ramps, additive.weights, additive.means, strict=True)
    return Head(
        intercept=digits(additive.intercept),
        slope=digits(additive.slope),
        offset=digits(additive.offset),
        ramps=tuple(Ramp(r.feature, r.start, r.end, digits(w), digits(m)) for r, w, m in ramps if w > 1e-6),
    )


def _seen(samples: Sequence[Sample], families: NDArray[np.str_]) -> Seen:
    """Points by farthest-first traversal (Gonzalez 1985), and how far other families are from a family."""
    data = np.stack(list(columns(samples, "batches").values()), axis=1)
    spans = np.array([(KNOTS[name][-1] - KNOTS[name][0]) / SPREADS for name in FEATURES])
    scales = np.maximum([np.std(known) if (known := x[~np.isnan(x)]).size else 0.0 for x in data.T], spans)
    apart = _distances(data / scales, data / scales)
    chosen = [int(np.argmin(apart.sum(1)))]
    while len(chosen) < min(POINTS, len(samples)):
        chosen.append(int(np.argmax(apart[:, chosen].min(1))))
    others = np.where(families[:, None] == families[None, :], np.inf, apart).min(1)
    points = [[None if np.isnan(v) else float(f"{v:.4g}") for v in data[i]] for i in sorted(chosen)]
    return Seen(
        features=tuple(FEATURES),
        scales=tuple(float(f"{scale:.6g}") for scale in scales),
        points=tuple(tuple(point) for point in points),
        limit=float(f"{FAR * np.quantile(others, 0.99):.6g}"),
    )


def _distances(a: Array, b: Array) -> Array:
    """Root mean square difference over the coordinates that both know."""
    return np.sqrt(np.nanmean(np.square(a[:, None, :] - b[None, :, :]), axis=2))
