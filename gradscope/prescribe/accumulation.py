"""How many batches are worth accumulating: the gradient noise scale, measured in the middle of a training.

A gradient of a batch is signal plus noise. B = tr(S) / |G|^2, with S the covariance of the gradients of single
samples and G their mean, is the batch size at which both are equally strong: below it a larger batch is nearly as good
as more steps, far above it is wasted. Both are estimated without bias from the gradients of 32 batches, as a ratio of
means. Where |G|^2 is within twice its jackknife error, only a lower bound of B can be given, and is.

It says how far accumulation reduces noise, not that training gets faster. It grows while a model trains: measure again.

References:
    McCandlish et al. 2018, arXiv 1812.06162, appendix A.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.batches import Batch, sample_count
from gradscope.borrow import seeded
from gradscope.prescribe._rehearsal import Rehearsal
from gradscope.prescribe._remedy import advice
from gradscope.prescribe._training import Hooks, trainable

BATCHES = 32
MOST = 64  # batches a step; beyond, a larger learning rate schedule is the better use of them
CERTAIN = 2.0  # standard errors


@dataclass(frozen=True, slots=True)
class Noise:
    """Signal and noise of gradients.

    Attributes:
        signal: unbiased |G|^2.
        error: its jackknife standard error.
        noise: unbiased trace of the covariance of one batch's gradient.
    """

    signal: float
    error: float
    noise: float

    @property
    def is_certain(self) -> bool:
        """Whether the signal stands out of its own error."""
        return self.signal > CERTAIN * self.error

    @property
    def scale(self) -> float:
        """Batches at which noise and signal are equally strong."""
        return self.noise / self.signal


@advice
def accumulation(rehearsal: Rehearsal) -> dict[str, Any]:
    """The gradient noise scale in samples, and up to how many batches a step averaging them pays."""
    rate, arena = rehearsal.ladder.recommended, rehearsal.arena
    if rate is None or not rehearsal.is_affordable or not arena.task.is_real:
        return {}
    batches = arena.batches(arena.seeds[-1])[:BATCHES]
    sizes = {sample_count(batch.args, batch.kwargs) for batch in batches}
    if len(batches) < BATCHES or len(sizes) > 1 or sizes == {0}:
        return {}
    kept: list[nn.Module] = []
    rehearsal.losses(rate, hooks=Hooks(lambda model, step: None if kept else kept.append(model)))
    (model,), (size,) = kept, sizes
    found = noise(lambda: gradients(model, batches, arena.task.loss, seed=arena.first_seed))
    if not found.is_certain:
        return {"gradient_noise_scale_at_least": size * BATCHES, "batch_size": size}
    steps = min(MOST, max(1, round(found.scale)))
    return {"gradient_noise_scale": found.scale * size, "batch_size": size, "batches_worth_averaging": steps}


def gradients(
    model: nn.Module, batches: list[Batch], loss: Callable[[Any, Any], Tensor], *, seed: int
) -> Iterator[Tensor]:
    """The flat gradient of each batch, in float64."""
    parameters = trainable(model)
    for batch in batches:
        with seeded(seed), torch.enable_grad():
            copy = batch.cloned()
            value = loss(model(*copy.args, **copy.kwargs), copy.targets)
            found = torch.autograd.grad(value, parameters, allow_unused=True)
        yield torch.cat([g.flatten().double() for g in found if g is not None])


def noise(draw: Callable[[], Iterator[Tensor]]) -> Noise:
    """Signal and noise of gradients that `draw` yields twice, the same each time: no two are held at once.

    With k gradients g_i of mean m: noise = k / (k - 1) (mean |g_i|^2 - |m|^2), signal = |m|^2 - noise / k, and the
    same without each g_i in turn for the jackknife.
    """
    count, total, squares = 0, torch.zeros(()), []
    for gradient in draw():
        count, total = count + 1, total + gradient
        squares.append(float(gradient @ gradient))
    dots = [float(total @ gradient) for gradient in draw()]
    whole = float(total @ total)

    def signal(k: int, sum_squared: float, sum_of_squares: float) -> float:
        return (sum_squared - sum_of_squares) / (k * (k - 1))

    full = signal(count, whole, sum(squares))
    without = [
        signal(count - 1, whole - 2 * dot + square, sum(squares) - square)
        for dot, square in zip(dots, squares, strict=True)
    ]
    mean = sum(without) / count
    error = ((count - 1) / count * sum((value - mean) ** 2 for value in without)) ** 0.5
    return Noise(full, error, sum(squares) / count - full)
