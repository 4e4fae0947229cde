"""Other tools' rules and single numbers on the same models, beside the verdict."""

from __future__ import annotations

import numpy as np

from tests.corpus.tables import table
from tests.scorecard.judged import Judged
from tests.scorecard.metrics import Array, advantage, auroc, balanced_accuracy, interval
from tests.scorecard.model import NEVER, NOT_FULLY
from tests.scorecard.peers import BASELINES, PEERS


def scores(found: Judged, name: str, when: int) -> Array:
    """Decades beyond a rule's threshold, at initialisation (0) or after training (1)."""
    return np.array([s.rules[name][when] for s in found.samples])


def others(found: Judged) -> str:
    """A row a rule and moment."""
    never, worse = found.is_bad(NEVER), found.is_bad(NOT_FULLY)
    plain = found.part(lambda i: found.became[i] != "degraded")
    ours, risk = found.never["batches"], found.risk["batches"]
    rows: list[tuple[object, ...]] = [
        (
            "**gradscope**",
            "",
            interval(auroc, ours, never),
            interval(auroc, risk, worse),
            f"{balanced_accuracy(plain.risk['batches'] - 0.5, plain.is_bad(NEVER)):.3f}",
            "",
            "",
        )
    ]
    for name in (*PEERS, *BASELINES):
        for when, moment in enumerate(("at init", "trained")):
            theirs = scores(found, name, when)
            accuracy = balanced_accuracy(scores(plain, name, when), plain.is_bad(NEVER)) if name in PEERS else None
            rows.append(
                (
                    name,
                    moment,
                    interval(auroc, theirs, never),
                    interval(auroc, theirs, worse),
                    "-" if accuracy is None else f"{accuracy:.3f}",
                    advantage(auroc, ours, theirs, never),
                    advantage(auroc, risk, theirs, worse),
                )
            )
    return table(
        (
            "rule",
            "when",
            "area, never",
            "area, not fully",
            "balanced accuracy of the rule",
            "advantage, never",
            "advantage, not fully",
        ),
        rows,
    )
