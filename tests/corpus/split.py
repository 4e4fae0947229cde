"""Which configurations may be fitted to, and which are only judged on; decided before anything was fitted.

Set aside are

* conv-residual and mixer: architectures that a fit never saw, one of them of a kind (token mixing without attention)
  that no other family has;
* broken-start: faults that no other family has (symmetry, dead and saturated units), so that what is measured is
  whether a verdict knows faults and not their list;
* sick-but-trains: what a plain threshold gets wrong; a fit that had seen it could learn the exceptions by heart;
* the text task, whatever the family: another kind of data, another number of classes, another uninformed loss.

Of the fitted families, two are about faults that no statistic shows: recipe and healthy-but-stuck. Both hold sound
twins of their models too, so that what is learned is the fault, and not that such designs fail.

The family reference fixes the scale of the labels, so it is neither fitted to nor judged on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.corpus.config import Config
    from tests.corpus.store import Row

FITTED = frozenset(
    {
        "conv-plain",
        "healthy-but-stuck",
        "mlp-norm",
        "mlp-plain",
        "mlp-residual",
        "recipe",
        "recurrent",
        "transformer",
    }
)
JUDGED = frozenset({"broken-start", "conv-residual", "mixer", "sick-but-trains"})
SCALE = frozenset({"reference"})
JUDGED_TASKS = frozenset({"text"})

Role = Literal["fit", "judge", "scale"]


def role(row: Config | Row) -> Role:
    """What a configuration is for.

    Raises:
        KeyError: its family has no role yet.
    """
    if row.family in SCALE:
        return "scale"
    if row.family in JUDGED or row.task in JUDGED_TASKS:
        return "judge"
    if row.family in FITTED:
        return "fit"
    raise KeyError(f"family {row.family!r} is in none of the splits of {__name__}")
