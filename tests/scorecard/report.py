"""The scorecard page: goals, calibration, confusion, families, and other tools' rules on the same models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gradscope.diagnose._risk import BASES, Basis, Model
from tests.corpus import split
from tests.corpus.config import configs
from tests.corpus.labels import Outcome
from tests.corpus.store import Row
from tests.corpus.tables import table
from tests.scorecard.cost import COUNTED, cost
from tests.scorecard.features import Sample
from tests.scorecard.judged import Judged, joined, judged, left_out
from tests.scorecard.metrics import (
    auroc,
    balanced_accuracy,
    calibration_error,
    interval,
    reliability,
    roc,
)
from tests.scorecard.model import NEVER, NOT_FULLY, outcomes
from tests.scorecard.others import others, scores
from tests.scorecard.peers import PEERS
from tests.scorecard.plots import curves

FOLDER = Path(__file__).parents[2] / "reports"
PAGE, ROC, RELIABILITY = (FOLDER / name for name in ("scorecard.md", "scorecard-roc.svg", "scorecard-reliability.svg"))

WORDS: dict[Basis, str] = {
    "statics": "no trial steps",
    "example": "trial steps on the example batch",
    "batches": "trial steps on fresh batches",
}
GOALS = {
    "area, never trains": 0.96,
    "area, does not fully train": 0.90,
    "balanced accuracy, trains against never": 0.92,
    "calibration error, never trains": 0.05,
    "calibration error, does not fully train": 0.05,
}


def write(samples: Sequence[Sample], rows: Sequence[Row], model: Model) -> None:
    """The page and its two pictures."""
    found = judged(samples, rows, model)
    PAGE.write_text(render(samples, rows, model))
    never, worse = found.is_bad(NEVER), found.is_bad(NOT_FULLY)
    lines = {f"gradscope, {WORDS[b]}": roc(found.never[b], never) for b in reversed(BASES)}
    best = sorted(PEERS, key=lambda name: -auroc(scores(found, name, 0), never))[:3]
    lines |= {name: roc(scores(found, name, 0), never) for name in best}
    ROC.write_text(curves("never trains", "share of the others that fire", "share that fires", lines))
    reliable = {
        "never trains": [p[:2] for p in reliability(found.never["batches"], never)],
        "does not fully train": [p[:2] for p in reliability(found.risk["batches"], worse)],
    }
    RELIABILITY.write_text(curves("reliability", "risk", "share that it happened to", reliable, dots=True))


def render(samples: Sequence[Sample], rows: Sequence[Row], model: Model) -> str:
    """The page as Markdown."""
    found, without = judged(samples, rows, model), left_out(samples, rows)
    counts = Counter((split.role(row), outcome) for row, outcome in ((r, outcomes([r])[r.key]) for r in rows))
    kinds: tuple[Outcome, ...] = ("trains", "degraded", "never")
    parts = [
        "# Scorecard",
        f"How often the verdict is right about {len(found.samples)} models of families and of a task that were set "
        "aside before anything was fitted (tests/corpus/split.py), each trained for real. `make scorecard` writes this "
        "page, its pictures and the coefficients; intervals are 95 % bootstrap intervals over models.",
        table(
            ("role", *kinds), [(role, *(counts[role, kind] for kind in kinds)) for role in ("fit", "judge", "scale")]
        ),
        "## Goals",
        _goals(found),
        "## By what is looked at",
        _by_basis(found),
        "![receiver operating characteristic](scorecard-roc.svg) ![reliability](scorecard-reliability.svg)",
        "## Calibration",
        table(
            ("outcome", "risk", "share that it happened to", "models"),
            [
                (name, f"{risk:.3f}", f"{share:.3f}", round(weight * len(found.samples)))
                for name, risks, bad in (
                    ("never trains", found.never["batches"], NEVER),
                    ("does not fully train", found.risk["batches"], NOT_FULLY),
                )
                for risk, share, weight in reliability(risks, found.is_bad(bad))
            ],
        ),
        "## Cost",
        "Passes through the model that a verdict takes beyond the one forward and backward pass of the measurement, "
        "counted: without trial steps, and for the trial steps. The goals are 3 and 40 forward and backward passes.",
        _costs(),
        "## Confusion",
        "Called never where that risk is above one half, else not fully where its risk is.",
        _confusion(found),
        f"Unlike everything seen, so that the verdict is unknown: {int((found.far > model.seen.limit).sum())}.",
        "## Families set aside",
        _families(found, total="all"),
        "## Families fitted to, each judged by a fit without it",
        _families(without, total="all"),
        "## Both together",
        "Faults are rarer among the families set aside than among those fitted to, so that each half is off in its own "
        "direction. Together they are the corpus, every model judged by a fit that has not seen its family.",
        _together(joined([found, without])),
        "## Other tools' rules and single numbers, on the same models and batches",
        "Each is computed at initialisation and again after 40 steps of Adam at 1e-3. As a rule it fires or not; as a "
        "score it is the decades beyond its threshold, which is kinder than the rule. Ours is that with trial steps on "
        "fresh batches. Advantage is our area less theirs on the same resamples.",
        others(found),
    ]
    return "\n\n".join(parts) + "\n"


def _goals(found: Judged) -> str:
    never, worse = found.is_bad(NEVER), found.is_bad(NOT_FULLY)
    plain = found.part(lambda i: found.became[i] != "degraded")
    risk = {"never": found.never["batches"], "worse": found.risk["batches"]}
    reached = {
        "area, never trains": interval(auroc, risk["never"], never),
        "area, does not fully train": interval(auroc, risk["worse"], worse),
        "balanced accuracy, trains against never": interval(
            balanced_accuracy, plain.risk["batches"] - 0.5, plain.is_bad(NEVER)
        ),
        "calibration error, never trains": interval(calibration_error, risk["never"], never),
        "calibration error, does not fully train": interval(calibration_error, risk["worse"], worse),
    }
    rows = []
    for name, goal in GOALS.items():
        is_error = "error" in name
        is_met = reached[name].value <= goal if is_error else reached[name].value >= goal
        rows.append((name, f"{'<=' if is_error else '>='} {goal:g}", reached[name], "yes" if is_met else "no"))
    return table(("what", "goal", "reached", "met"), rows)


def _by_basis(found: Judged) -> str:
    never, worse = found.is_bad(NEVER), found.is_bad(NOT_FULLY)
    return table(
        ("basis", "area, never", "area, not fully", "calibration error, never", "calibration error, not fully"),
        [
            (
                WORDS[b],
                interval(auroc, found.never[b], never),
                interval(auroc, found.risk[b], worse),
                f"{calibration_error(found.never[b], never):.3f}",
                f"{calibration_error(found.risk[b], worse):.3f}",
            )
            for b in BASES
        ],
    )


def _costs() -> str:
    found = configs()
    return table(
        ("model", "forward, at rest", "backward, at rest", "forward, trial steps", "backward, trial steps"),
        [
            (key, rest.forward, rest.backward, trial.forward, trial.backward)
            for key in COUNTED
            for rest, trial in [cost(found[key])]
        ],
    )


def _confusion(found: Judged) -> str:
    called = np.where(
        found.never["batches"] > 0.5, "never", np.where(found.risk["batches"] > 0.5, "degraded", "trains")
    )
    counts = Counter(zip(found.became, called.tolist(), strict=True))
    kinds = ("trains", "degraded", "never")
    return table(
        ("became", *(f"called {kind}" for kind in ("trains", "not fully", "never"))),
        [(became, *(counts[became, call] for call in kinds)) for became in kinds],
    )


def _together(found: Judged) -> str:
    return table(
        ("outcome", "models", "area", "calibration error"),
        [
            (name, len(found.samples), interval(auroc, risks, is_bad), interval(calibration_error, risks, is_bad))
            for name, risks, is_bad in (
                ("never trains", found.never["batches"], found.is_bad(NEVER)),
                ("does not fully train", found.risk["batches"], found.is_bad(NOT_FULLY)),
            )
        ],
    )


def _families(found: Judged, *, total: str = "") -> str:
    rows = []
    for family in sorted(set(found.families)):
        rows.append((family, *_line(found.part(lambda i, family=family: found.families[i] == family))))
    return table(_HEADS, [*rows, (total, *_line(found))] if total else rows)


_HEADS = (
    *("family", "models", "never", "degraded", "area, never", "area, not fully", "mean risk of never", "mean risk"),
    *("calibration error, never", "calibration error, not fully"),
)


def _line(part: Judged) -> tuple[object, ...]:
    never, risk = part.never["batches"], part.risk["batches"]
    is_never, is_worse = part.is_bad(NEVER), part.is_bad(NOT_FULLY)
    areas = (auroc(never, is_never), auroc(risk, is_worse))
    return (
        len(part.became),
        int(is_never.sum()),
        int(is_worse.sum() - is_never.sum()),
        *("-" if np.isnan(area) else f"{area:.3f}" for area in areas),
        f"{never.mean():.3f}",
        f"{risk.mean():.3f}",
        f"{calibration_error(never, is_never):.3f}",
        f"{calibration_error(risk, is_worse):.3f}",
    )
