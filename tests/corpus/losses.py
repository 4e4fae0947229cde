"""The losses that models are given, right and wrong ones, and the error that says whether the task was learned."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def _one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    classes = torch.arange(outputs.shape[-1], device=outputs.device)
    return (targets[..., None] == classes).to(outputs.dtype)


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def _negative_likelihood(outputs: Tensor, targets: Tensor) -> Tensor:
    return -(outputs * _one_hot(outputs, targets)).sum(-1).mean()


LOSSES: dict[str, Loss] = {
    "cross-entropy": _cross_entropy,
    "cross-entropy-sum": lambda y, t: _cross_entropy(y, t) * t.numel(),
    "cross-entropy-thousandth": lambda y, t: _cross_entropy(y, t) / 1e3,
    "cross-entropy-millionth": lambda y, t: _cross_entropy(y, t) / 1e6,
    "binary-cross-entropy": lambda y, t: F.binary_cross_entropy_with_logits(y, _one_hot(y, t)),
    "mse": F.mse_loss,
    "mse-one-hot": lambda y, t: F.mse_loss(y, _one_hot(y, t)),
    "l1": F.l1_loss,
    "l1-one-hot": lambda y, t: F.l1_loss(y, _one_hot(y, t)),
    "multi-margin": lambda y, t: (1 + y - (y * _one_hot(y, t)).sum(-1, keepdim=True)).relu().mean(),
    # Mistakes that are made: each runs, returns a number and has a gradient.
    "cross-entropy-of-softmax": lambda y, t: _cross_entropy(y.softmax(-1), t),
    "likelihood-of-logits": _negative_likelihood,
    "likelihood-of-softmax": lambda y, t: _negative_likelihood(y.softmax(-1), t),
    "log-of-sigmoid": lambda y, t: _negative_likelihood(y.sigmoid().log(), t),
    "cross-entropy-over-batch": lambda y, t: -(y.log_softmax(0) * _one_hot(y, t)).sum(-1).mean(),
    "cross-entropy-sign-flipped": lambda y, t: -_cross_entropy(y, t),
    "exponential": lambda y, t: (-((2 * _one_hot(y, t) - 1) * y)).exp().mean(),
    "mse-of-argmax-index": lambda y, t: F.mse_loss(y.softmax(-1) @ torch.arange(y.shape[-1]).to(y), t.to(y)),
}


def error(outputs: Tensor, targets: Tensor) -> Tensor:
    """What is left to learn, whatever the loss: the share of wrong classes, or the mean squared error."""
    if targets.is_floating_point():
        return F.mse_loss(outputs, targets)
    return (outputs.argmax(-1) != targets).to(outputs.dtype).mean()


def trivial_error(targets: Tensor) -> float:
    """The error of the best constant answer: the commonest class, or the mean value."""
    if targets.is_floating_point():
        return targets.var(0, unbiased=False).mean().item()
    return 1 - targets.flatten().bincount().max().item() / targets.numel()
