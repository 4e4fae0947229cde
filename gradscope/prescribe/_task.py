"""What the trials train on: the user's batches, or a few variations of the example batch to memorise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gradscope.batches import Batch, as_call, sample_count, user_batches
from gradscope.borrow import seeded
from gradscope.prescribe._copies import untouched
from gradscope.pytree import main_tensor, map_tensors
from gradscope.schema import Subject

MEMORISED = 4
"""Batches to memorise: too many for the last layer's bias alone, few enough for a short trial."""

POOL_BYTES = 2**28
"""Bytes of batches that are kept; a trial that needs more goes over them again."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a trial learns.

    Attributes:
        batches: (seed, most) -> at most so many batches; the same for the same seed.
        loss: (output, targets) -> the scalar to minimise.
        words: what the data and the loss are, for the report.
        is_real: whether the data are the user's.
    """

    batches: Callable[[int, int], list[Batch]]
    loss: Callable[[Any, Any], Tensor]
    words: str
    is_real: bool = False


def learning_task(subject: Subject) -> Task:
    """The user's batches where there are any, else variations of the example batch, to be memorised.

    A variation has every feature shuffled between the samples, so that each feature keeps its distribution. A
    loss that is linear in the output has no minimum; the squared distance to fixed random targets replaces it.
    """
    if subject.batches is not None:
        return Task(lambda seed, most: _given(subject, seed, most), subject.loss, "your batches", is_real=True)
    example = Batch(subject.args, dict(subject.kwargs), subject.targets)
    is_varied = sample_count(example.args, example.kwargs) > 1 and _still_runs(subject, example)
    words = f"{MEMORISED} variations of the example inputs" if is_varied else "the example inputs"

    def memorised(seed: int, most: int) -> list[Batch]:
        generator = torch.Generator().manual_seed(seed)
        more = range(min(MEMORISED, most) - 1) if is_varied else ()
        return [example, *(_variation(example, generator) for _ in more)]

    if subject.targets is None and subject.classes is None and _is_linear(subject, example):
        words = f"{words}, to be mapped to fixed random targets (mean squared error)"
        return Task(lambda seed, most: _mapped(subject, memorised(seed, most), seed), _squared_error, words)
    return Task(memorised, subject.loss, f"{words}, to be memorised")


def _given(subject: Subject, seed: int, most: int) -> list[Batch]:
    batches = user_batches(subject, seed, most=most, most_bytes=POOL_BYTES)
    return [Batch(*as_call(inputs), targets) for inputs, targets in batches]


def _variation(batch: Batch, generator: torch.Generator) -> Batch:
    """A batch of the same kind: each feature, and each target, shuffled between the samples."""
    samples = sample_count(batch.args, batch.kwargs)

    def shuffled(tensor: Tensor) -> Tensor:
        if tensor.dim() == 0 or tensor.shape[0] != samples or tensor.dtype == torch.bool:
            return tensor
        order = torch.rand(tensor.shape, generator=generator).argsort(0).to(tensor.device)
        return tensor.detach().gather(0, order)

    return Batch(*map_tensors((batch.args, batch.kwargs, batch.targets), shuffled))


def _still_runs(subject: Subject, example: Batch) -> bool:
    """Whether the model takes a variation as it takes the example: masks and lengths may not survive a shuffle."""
    try:
        varied = _loss(subject, _variation(example, torch.Generator().manual_seed(subject.info.seed)))
    except Exception:  # the user's model refuses it, for whatever reason: it is not used
        return False
    return bool(varied.isfinite()) or not bool(_loss(subject, example).isfinite())


def _loss(subject: Subject, batch: Batch) -> Tensor:
    return subject.loss(_output(subject, batch), batch.targets).detach()


def _output(subject: Subject, batch: Batch) -> Any:
    seed = subject.info.seed
    model = untouched(subject, seed)
    with seeded(seed), torch.enable_grad():
        batch = batch.cloned()
        return model(*batch.args, **batch.kwargs)


def _is_linear(subject: Subject, example: Batch) -> bool:
    """Whether the slope of the loss does not depend on where it is taken."""
    output = _output(subject, example)
    tensor = main_tensor(output)
    if tensor is None or tensor.dim() == 0 or not tensor.requires_grad:
        return False
    (slope,) = torch.autograd.grad(subject.loss(output, None), tensor, retain_graph=True, allow_unused=True)
    with torch.no_grad():
        tensor.mul_(-3)
    (moved,) = torch.autograd.grad(subject.loss(output, None), tensor, allow_unused=True)
    return slope is not None and moved is not None and torch.equal(slope, moved)


def _mapped(subject: Subject, batches: list[Batch], seed: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for batch in batches:
        output = main_tensor(_output(subject, batch))
        assert output is not None, "a loss was computed from it"
        found.append(replace(batch, targets=torch.randn(output.shape, generator=generator).to(output)))
    return found


def _squared_error(output: Any, targets: Tensor) -> Tensor:
    tensor = main_tensor(output)
    assert tensor is not None, "the targets were drawn like it"
    return F.mse_loss(tensor, targets)
