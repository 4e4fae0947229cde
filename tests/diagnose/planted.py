"""Models with a planted initialization bug and their fixed twins, and what conformance finds in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradscope import capture, diagnose, measure
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.schema import Finding, Subject
from tests.subjects import random, subject


def found(examined: Subject, config: Config | None = None) -> dict[str, Finding]:
    """What initialization conformance finds, by code."""
    config = config or Config()
    with borrowed(examined.model, training=examined.info.training, seed=0):
        profile = measure.profile(examined, capture.graph, config, has_spectra=False)[1]
    return {f.code: f for f in diagnose.findings(profile, config, select=["GS6"])}


def conformance(
    build: Callable[[], nn.Module], *args: Any, kwargs: Mapping[str, Any] | None = None
) -> dict[str, Finding]:
    """The same of a model that is built with a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build()
    return found(subject(model, *args, kwargs=kwargs, loss=lambda output, _: (output - 1).square().mean()))


def mlp(depth: int = 3, *, width: int = 32, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A plain network from 16 numbers to 5."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(16 if i == 0 else width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 5))


class Stack(nn.Module):
    """A pre-norm residual stack with a mixing and a feed-forward branch per layer, over tokens or vectors."""

    def __init__(self, depth: int = 4, width: int = 32, vocabulary: int = 40) -> None:
        super().__init__()
        self.depth = depth
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.layers = nn.ModuleList([Layer(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)  # (B, T, width)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class Layer(nn.Module):
    """Two residual branches: a gated mixture over positions, and a two-layer network."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.mix_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.fc, self.c_proj = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix_proj(self.mix(self.norm1(x)).cumsum(1) / x.shape[1])
        return x + self.c_proj(torch.nn.functional.gelu(self.fc(self.norm2(x))))


TOKENS = torch.arange(1, 25).view(2, 12)
VECTORS = random(16, 16)
