"""A learning rate: the best of a ladder of short trainings, with a margin to where training breaks.

No formula on curvature predicts the largest stable learning rate (2 / lambda_max at the start is off by factors of
0.25 to 215); short trainings do. Rungs of 24 steps climb by factors of four until one fails. The recommendation is
the rung with the lowest loss, but at most a quarter of the highest that held.
"""

from __future__ import annotations

from typing import Any

from gradscope.prescribe._ladder import STEPS
from gradscope.prescribe._rehearsal import Rehearsal
from gradscope.prescribe._remedy import advice


@advice
def learning_rate(rehearsal: Rehearsal) -> dict[str, Any]:
    """The optimizer that did best in the trials, its learning rate, and the largest that was stable."""
    ladder = rehearsal.ladder
    if ladder.recommended is None:
        return {}
    return {
        "optimizer": rehearsal.method.name,
        "value": ladder.recommended,
        "largest_stable": ladder.edge,
        "from": f"a ladder of {STEPS}-step trainings on {rehearsal.arena.task.words}",
    }
