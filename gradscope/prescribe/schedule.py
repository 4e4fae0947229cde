"""A schedule of the learning rate: constant, with a warm-up, with a decay, or both, whichever reaches the least loss.

Each schedule runs with the recommended learning rate and with four times that, because a warm-up earns its place by
allowing a larger one, and is compared with the best constant rate over the same steps. Warm-up takes a tenth of the
steps, decay goes linearly to zero. Nothing is recommended unless it reaches clearly less loss on two of three seeds.

References:
    Ma, Yarats 2021, arXiv 1910.04209 and Gilmer et al. 2022, arXiv 2110.04369 (why warm-up works); Defazio et al.
    2023, arXiv 2310.07831 (linear decay).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gradscope.prescribe._contest import Tune
from gradscope.prescribe._rehearsal import CLOSE, Rehearsal
from gradscope.prescribe._remedy import advice
from gradscope.prescribe._training import final

Schedule = Callable[[float], float]
"""Share of the training done, in 0..1 -> factor of the learning rate."""

WARM_UP = 0.1
LARGER = 4.0

SCHEDULES: dict[str, Schedule] = {
    "constant": lambda done: 1.0,
    "warm-up": lambda done: min(1.0, (done + WARM_UP / 10) / WARM_UP),
    "linear decay": lambda done: 1.0 - done,
    "warm-up and linear decay": lambda done: min(1.0, (done + WARM_UP / 10) / WARM_UP) * (1.0 - done),
}


@advice
def schedule(rehearsal: Rehearsal) -> dict[str, Any]:
    """The schedule that beats a constant learning rate, its peak, and what both reached."""
    rate = rehearsal.ladder.recommended
    if rate is None or not rehearsal.is_affordable:
        return {}

    def reached(name: str, peak: float, seed: int) -> float:
        return final(rehearsal.losses(peak, seed=seed, tune=attached(SCHEDULES[name], rehearsal.arena.plan.steps)))

    seeds = rehearsal.arena.seeds
    first = {(name, peak): reached(name, peak, seeds[0]) for name in SCHEDULES for peak in (rate, LARGER * rate)}
    constant = min((key for key in first if key[0] == "constant"), key=first.__getitem__)
    best = min(first, key=first.__getitem__)
    if best[0] == "constant" or first[constant] - first[best] < CLOSE**2 * abs(rehearsal.start):
        return {}
    pairs = [(first[best], first[constant]), *((reached(*best, seed), reached(*constant, seed)) for seed in seeds[1:])]
    wins = sum(with_it <= without - rehearsal.gain * abs(without) for with_it, without in pairs)
    if wins < math.ceil(2 / 3 * len(pairs)):
        return {}
    return {
        "shape": best[0],
        "peak_learning_rate": best[1],
        "loss": sum(with_it for with_it, _ in pairs) / len(pairs),
        "loss_constant": sum(without for _, without in pairs) / len(pairs),
    }


def attached(shape: Schedule, steps: int) -> Tune:
    """Makes an optimizer follow a schedule over so many steps."""

    def tune(model: nn.Module, optimizer: Optimizer) -> None:
        scheduler = LambdaLR(optimizer, lambda step: shape(step / steps))
        optimizer.register_step_post_hook(lambda *_: scheduler.step())

    return tune
