"""Whether an answer is about its own question: what of the output is noise, and what came from other samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gradscope.pytree import main_tensor, map_tensors
from gradscope.schema import Estimate, Subject


def output_noise(subject: Subject, output: Tensor | None, batch: int, *, has_drawn: bool = True) -> Estimate:
    """Variance of the output when the same inputs are given again, over its variance between samples; one forward pass.

    Zero for a deterministic model, one where dropout or noise is all that tells two answers apart. A model that has
    drawn no random number while it ran (`has_drawn`) is not run again.
    """
    if output is None or batch < 2 or output.shape[:1] != (batch,):
        return Estimate.unknown("needs a batch of two or more samples in the first dimension")
    if not has_drawn:
        return Estimate.exact(0.0, "nothing random was drawn", batch)
    args, kwargs = map_tensors((subject.args, dict(subject.kwargs)), Tensor.clone)
    with torch.no_grad():
        again = main_tensor(subject.model(*args, **kwargs))
    if again is None or again.shape != output.shape:
        return Estimate.unknown("the output changed its shape when the model ran again")
    first, second = output.detach().flatten(1).double(), again.flatten(1).double()
    noise = (first - second).square().sum() / 2
    total = (first - first.mean(0)).square().sum() * batch / (batch - 1)
    if noise == 0:
        return Estimate.exact(0.0, "measured", batch)
    return Estimate.exact((noise / total).item() if total > 0 else 1.0, "measured", batch)


def own_share(output: Tensor | None, inputs: Sequence[Tensor], batch: int, seed: int) -> Estimate:
    """Share of the squared gradient of one sample's output that lies at its own input; one backward pass.

    One where samples do not meet; a little less with batch normalization; zero where answers went to others.
    """
    starts = [x for x in inputs if x.shape[:1] == (batch,)]
    if output is None or batch < 2 or output.shape[:1] != (batch,) or not output.requires_grad or not starts:
        return Estimate.unknown("needs differentiable inputs and a batch of two or more samples")
    answer = output[0]
    direction = torch.randn(answer.shape, generator=torch.Generator().manual_seed(seed)).to(answer)
    gradients = torch.autograd.grad(answer, starts, direction, retain_graph=True, allow_unused=True)
    squares = [g.detach().flatten(1).double().square().sum(1) for g in gradients if g is not None]  # (batch,) each
    total = sum(square.sum().item() for square in squares)
    if not 0 < total < math.inf:
        return Estimate.unknown("no gradient reaches the inputs")
    return Estimate.exact(sum(square[0].item() for square in squares) / total, "measured", batch)
