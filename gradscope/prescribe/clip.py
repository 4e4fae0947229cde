"""A threshold for the gradient norm: above what training needs, below what a broken batch does.

The threshold is 1.5 times the 90th percentile of the gradient norms of a rehearsal at the recommended learning rate,
its first steps left out. It is recommended only if, in a second rehearsal with one batch whose loss is a thousand
times too large, training ends near the loss of the undisturbed one, and 0.1 to 15 % of the other steps are clipped.
A fixed threshold of 1 clips most steps of many models; the norms at initialization say little about those in training.

Where the norms drift by more than a factor of two during the rehearsal no constant fits, and none is recommended.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.nn.utils import clip_grad_norm_

from gradscope.prescribe._rehearsal import Rehearsal, as_good_as
from gradscope.prescribe._remedy import advice
from gradscope.prescribe._training import Hooks, final

MARGIN = 1.5
SKIPPED = 5  # steps at the start, whose gradients are not those of training
FAULT = 1000.0  # times the loss of one batch
LEAST, MOST = 0.001, 0.15  # share of steps clipped
DRIFT = 2.0  # between the first and the last third

CODE = "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm={max_norm})  # before optimizer.step()"


@advice
def clip(rehearsal: Rehearsal) -> dict[str, Any]:
    """The largest gradient norm to allow, how often it acts, and what one broken batch does with and without it."""
    rate = rehearsal.ladder.recommended
    if rate is None:
        return {}
    norms: list[float] = []
    calm = rehearsal.losses(rate, hooks=Hooks(lambda model, step: norms.append(_norm(model))))
    usual = norms[SKIPPED:]
    if len(usual) < 3 or _drift(usual) > DRIFT:
        return {}
    max_norm = float(f"{MARGIN * statistics.quantiles(usual, n=10, method='inclusive')[-1]:.2g}")
    fault = len(calm) // 2
    clipped: list[bool] = []

    def shorten(model: nn.Module, step: int) -> None:
        norm = clip_grad_norm_(model.parameters(), max_norm)
        if step != fault:
            clipped.append(bool(norm > max_norm))

    broken = Hooks(factor=lambda step: FAULT if step == fault else 1.0)
    with_clipping = final(rehearsal.losses(rate, hooks=Hooks(shorten, broken.factor)))
    without = final(rehearsal.losses(rate, hooks=broken))
    engaged = statistics.fmean(clipped) if clipped else 0.0
    if not (LEAST <= engaged <= MOST and with_clipping <= as_good_as(calm)):
        return {}
    return {
        "max_norm": max_norm,
        "steps_clipped": f"{engaged:.1%}",
        "loss_after_a_broken_batch": with_clipping,
        "loss_after_a_broken_batch_unclipped": without,
        "code": CODE.format(max_norm=max_norm),
    }


def _norm(model: nn.Module) -> float:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return float(nn.utils.get_total_norm(gradients))


def _drift(norms: Sequence[float]) -> float:
    third = max(1, len(norms) // 3)
    first, last = statistics.median(norms[:third]), statistics.median(norms[-third:])
    return max(first, last) / min(first, last) if min(first, last) > 0 else float("inf")
