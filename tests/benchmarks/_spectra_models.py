"""The four models that spectra are timed on, at their real size: random weights, evaluation mode, fixed seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.borrow import seeded


@dataclass(frozen=True)
class Workload:
    """A model with one batch of inputs.

    Attributes:
        title: model, input and batch in words.
        inputs: positional inputs, the batch first.
    """

    title: str
    model: nn.Module
    inputs: tuple[Tensor, ...]

    def output(self, *inputs: Tensor) -> Tensor:
        """The main output, for these inputs or the own ones."""
        found: Any = self.model(*(inputs or self.inputs))
        return found if isinstance(found, Tensor) else found.logits

    def step(self) -> None:
        """One forward and one backward pass to the parameters: the unit of every cost."""
        self.model.zero_grad(set_to_none=True)
        self.output().sum().backward()


def resnet50() -> Workload:
    """torchvision's ResNet-50 as transformers builds it."""
    from transformers import ResNetConfig, ResNetForImageClassification

    model = ResNetForImageClassification(ResNetConfig(num_labels=1000))
    return Workload("ResNet-50, 224 px, batch 4", model.eval(), (torch.randn(4, 3, 224, 224),))


def gpt2() -> Workload:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(use_cache=False))
    return Workload("GPT-2 small, 128 tokens, batch 2", model.eval(), (torch.randint(50257, (2, 128)),))


def vit() -> Workload:
    from transformers import ViTConfig, ViTForImageClassification

    model = ViTForImageClassification(ViTConfig(num_labels=1000))
    return Workload("ViT-B/16, 224 px, batch 2", model.eval(), (torch.randn(2, 3, 224, 224),))


def mlp() -> Workload:
    layers = [layer for _ in range(50) for layer in (nn.Linear(256, 256), nn.Tanh())]
    for layer in layers[::2]:
        nn.init.xavier_normal_(layer.weight)  # type: ignore[arg-type]
    return Workload("50-layer width-256 tanh MLP, batch 128", nn.Sequential(*layers).eval(), (torch.randn(128, 256),))


MODELS = {"resnet50": resnet50, "gpt2": gpt2, "vit": vit, "mlp": mlp}


def build(name: str) -> Workload:
    """One of `MODELS`, always with the same weights and inputs."""
    with seeded(0):
        return MODELS[name]()
