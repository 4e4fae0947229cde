"""The loss that stands for training: the user's, or one that fits what the model returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gradscope.load.failure import USER_ERRORS, failure
from gradscope.load.output import Head, head, main_tensor
from gradscope.load.probe import GradientsInsideError
from gradscope.load.streams import stream
from gradscope.schema import GradscopeError

Loss = Callable[[Any, Any], Tensor]

DENSITY_FLOOR = 1e-12  # keeps the logarithm of a probability finite


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss, what it compares with, and both in words.

    Attributes:
        loss: (output of the model, targets) -> scalar.
        targets: second argument of `loss`.
        words: for the report.
        classes: number of classes of a cross-entropy, else None.
    """

    loss: Loss
    targets: Any
    words: str
    classes: int | None = None


def objective(
    output: Any, inputs: tuple[Tensor, ...], *, targets: Any, loss: Loss | None, loss_name: str | None, seed: int
) -> Objective:
    """Choose the loss for a model that returned `output`.

    The user's own comes first. Otherwise the targets decide (integers: cross-entropy, numbers: mean squared
    error), and without targets the output: cross-entropy against drawn labels for logits and probabilities,
    the model's own loss if it returns one, else a fixed random projection.

    Raises:
        GradscopeError: output, targets and loss do not fit together.
    """
    chosen = _chosen(output, inputs, targets=targets, loss=loss, loss_name=loss_name, seed=seed)
    _check(chosen, output)
    return chosen


def _chosen(
    output: Any, inputs: tuple[Tensor, ...], *, targets: Any, loss: Loss | None, loss_name: str | None, seed: int
) -> Objective:
    if loss is not None:
        name = getattr(loss, "__name__", type(loss).__name__)
        is_drawn = targets is None
        return Objective(loss, targets, f"{name}, given{' without targets' if is_drawn else ''}", None)
    found = head(output, inputs)
    generator = stream(seed, "labels")
    if loss_name is not None:
        return _by_name(loss_name, found, targets, generator)
    if isinstance(targets, Tensor):
        return _by_name("mse" if targets.is_floating_point() else "cross-entropy", found, targets, generator)
    if targets is not None:
        raise GradscopeError(f"Targets of type {type(targets).__name__} need a loss; give loss=... with them.")
    if found.meaning == "loss":
        where = f" (output{found.name})" if found.name else ""
        return Objective(lambda output, _: head(output, ()).tensor, None, f"the model's own{where}")
    if found.class_dimension is not None:
        return _cross_entropy(found, None, generator)
    return _projection(found, seed)


def _by_name(name: str, found: Head, targets: Any, generator: torch.Generator) -> Objective:
    if found.meaning == "loss":
        raise GradscopeError(f"The model returns one number, so {name} has nothing to compare; leave out the loss.")
    if name in ("cross-entropy", "cross_entropy", "ce", "nll"):
        return _cross_entropy(found, targets, generator)
    if name not in _REGRESSIONS:
        raise GradscopeError(f"There is no loss {name!r}; known: {', '.join(['cross-entropy', *_REGRESSIONS])}.")
    function, words = _REGRESSIONS[name]
    origin = "given targets"
    if targets is None:
        targets, origin = torch.randn(found.tensor.shape, generator=generator), "targets drawn from N(0, 1)"
        if name == "bce":
            targets, origin = (targets > 0).float(), "labels drawn with the seed"
    if targets.shape != found.tensor.shape:
        raise _misfit(found, targets)
    device, dtype = found.tensor.device, found.tensor.dtype
    targets = targets.to(device=device, dtype=dtype)
    return Objective(
        lambda output, targets: function(main_tensor(output)[1], targets), targets, f"{words}{_on(found)}, {origin}"
    )


_REGRESSIONS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "mse": (F.mse_loss, "mean squared error"),
    "l1": (F.l1_loss, "mean absolute error"),
    "huber": (F.huber_loss, "Huber loss"),
    "bce": (F.binary_cross_entropy_with_logits, "binary cross-entropy of logits"),
}

LOSS_NAMES = ("cross-entropy", *_REGRESSIONS)


def _cross_entropy(found: Head, targets: Tensor | None, generator: torch.Generator) -> Objective:
    """Mean negative log-likelihood over every sample and position."""
    shape = found.tensor.shape
    if targets is None:
        dimension = len(shape) - 1 if found.class_dimension is None else found.class_dimension
        classes = shape[dimension]
        drawn = torch.randint(classes, shape[:dimension] + shape[dimension + 1 :], generator=generator)
        targets, origin = drawn.to(found.tensor.device), "labels drawn with the seed"
    else:
        dimension, origin = _class_dimension(found, targets), "given labels"
        classes = shape[dimension]
        _check_labels(targets, classes)
        targets = targets.to(found.tensor.device).long()

    def loss(output: Any, targets: Tensor) -> Tensor:
        scores = main_tensor(output)[1].movedim(dimension, -1).flatten(0, -2)  # (positions, classes)
        if found.meaning == "probabilities":
            return F.nll_loss(scores.clamp_min(DENSITY_FLOOR).log(), targets.flatten())
        if found.meaning == "log-probabilities":
            return F.nll_loss(scores, targets.flatten())
        return F.cross_entropy(scores, targets.flatten())

    of = f" of {found.meaning}" if found.meaning in ("probabilities", "log-probabilities") else ""
    return Objective(loss, targets, f"cross-entropy{of}{_on(found)} over {classes} classes, {origin}", classes)


def _class_dimension(found: Head, targets: Tensor) -> int:
    """The dimension of the output that the labels index."""
    shape = found.tensor.shape
    preferred = (found.class_dimension,) if found.class_dimension is not None else ()
    for dimension in (*preferred, len(shape) - 1, 1):
        if 0 <= dimension < len(shape) and targets.shape == shape[:dimension] + shape[dimension + 1 :]:
            return dimension
    raise _misfit(found, targets)


def _check_labels(targets: Tensor, classes: int) -> None:
    low, high = int(targets.min()), int(targets.max())
    ignored = -100  # what cross_entropy leaves out
    if high >= classes or (low < 0 and low != ignored):
        raise GradscopeError(f"The labels run from {low} to {high}, but the output has {classes} classes.")


def _misfit(found: Head, targets: Tensor) -> GradscopeError:
    return GradscopeError(
        f"Targets {targets.dtype} of shape {tuple(targets.shape)} do not fit the output{found.name} of shape "
        f"{tuple(found.tensor.shape)}; give a loss(output, targets) that knows them."
    )


def _projection(found: Head, seed: int) -> Objective:
    """A random linear function of the output: mean over samples of <output, R> / sqrt(numel), R ~ N(0, 1).

    It is O(rms of the output) per sample whatever the size of the output, and its gradient with respect to the
    output is the same for every model, so that nothing but the model shapes the gradients.
    """

    def loss(output: Any, _: Any) -> Tensor:
        tensor = main_tensor(output)[1]
        tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        direction = torch.randn(tensor.shape, generator=stream(seed, "projection")).to(tensor)
        return (tensor * direction).sum() / math.sqrt(tensor.numel() * max(1, tensor.shape[0] if tensor.dim() else 1))

    return Objective(loss, None, f"a fixed random projection{_on(found)}")


def _on(found: Head) -> str:
    return f" of output{found.name}" if found.name else ""


def _check(chosen: Objective, output: Any) -> None:
    try:
        with torch.enable_grad():
            value = chosen.loss(output, chosen.targets)
    except GradientsInsideError:  # a gradient penalty: the graph of a mere look cannot tell more
        return
    except USER_ERRORS as error:
        hint = "It is called as loss(output, targets)."
        raise failure(f"The loss ({chosen.words})", error, hint=hint) from error
    if not isinstance(value, Tensor):
        raise GradscopeError(f"The loss ({chosen.words}) returned a {type(value).__name__}, not a scalar tensor.")
    if value.numel() != 1:
        raise GradscopeError(f"The loss ({chosen.words}) returned shape {tuple(value.shape)}, not one number.")
    if not value.requires_grad:
        raise GradscopeError(f"The loss ({chosen.words}) is detached from the model's output.")
