"""Small subjects that tests of several stages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope.schema import Subject, SubjectInfo


def subject(
    model: nn.Module,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    targets: Any = None,
    classes: int | None = None,
    training: bool = True,
    rebuild: Callable[[], nn.Module] | None = None,
    batches: Any = None,
) -> Subject:
    """A subject without the load stage; the default loss is the sum of squares of the output."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    info = SubjectInfo(
        target=type(model).__name__,
        class_name=type(model).__name__,
        parameters=sum(p.numel() for p in model.parameters()),
        trainable_parameters=trainable,
        inputs="given",
        inputs_from="the test",
        loss="given",
        seed=0,
        dtype="float32",
        device="cpu",
        training=training,
    )
    return Subject(
        info=info,
        model=model,
        args=args,
        kwargs=kwargs or {},
        loss=loss or (lambda output, _: output.square().sum()),
        targets=targets,
        rebuild=rebuild,
        batches=batches,
        classes=classes,
    )


def classifier(depth: int, activation: type[nn.Module], *, width: int = 32, seed: int = 0) -> nn.Sequential:
    """A plain network for 10 classes of 64 numbers, with PyTorch's default initialization."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(64 if i == 0 else width, width), activation()]
        return nn.Sequential(*layers, nn.Linear(width, 10))


def random(*shape: int, seed: int = 1) -> Tensor:
    """Standard normal numbers from a generator of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def classified(model: nn.Module, *, batch: int = 16) -> Subject:
    """A classifier of 64 numbers on random samples and labels."""
    labels = torch.randint(0, 10, (batch,), generator=torch.Generator().manual_seed(2))
    return subject(model, random(batch, 64), loss=F.cross_entropy, targets=labels, classes=10)
