"""A network too deep for its initialization: thirty tanh layers with the weights that nn.Linear draws by default."""

import argparse
import inspect
import string
import typing
from collections.abc import Iterator
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn

CHARACTERS = string.printable
WINDOW, WIDTH, DEPTH, BATCH = 200, 64, 30, 64


class DeepTanh(nn.Module):
    """Tell English prose from Python code by how often each character occurs."""

    def __init__(self) -> None:
        super().__init__()
        fans_in = [len(CHARACTERS)] + [WIDTH] * (DEPTH - 1)
        self.layers = nn.ModuleList(nn.Linear(fan_in, WIDTH) for fan_in in fans_in)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:  # (batch, characters) -> (batch, 2)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def make_model() -> nn.Module:
    """As one would write it."""
    return DeepTanh()


def make_healthy_model() -> nn.Module:
    """The same network with orthogonal weights: each layer passes on what it gets."""
    model = DeepTanh()
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, gain=1.1)
            nn.init.zeros_(module.bias)
    return model


def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Real text that every Python brings along: its manual (label 0) and its own source (label 1)."""
    texts = "".join(topics.values()), inspect.getsource(argparse) + inspect.getsource(typing)
    counts = [_counts(text) for text in texts]
    features = torch.cat(counts)
    features = (features - features.mean(0)) / (features.std(0) + 1e-2)
    labels = torch.cat([torch.full((len(c),), label) for label, c in enumerate(counts)])
    balanced = torch.cat([torch.full((len(c),), 1 / len(c)) for c in counts])
    generator = torch.Generator().manual_seed(seed)
    while True:
        chosen = balanced.multinomial(BATCH, generator=generator)
        yield features[chosen], labels[chosen]


def example_inputs() -> tuple[Tensor, Tensor]:
    """One batch, with its targets."""
    return next(batches(0))


def _counts(text: str) -> Tensor:
    """How often each of CHARACTERS occurs, window by window: (windows, characters)."""
    codes = torch.tensor([CHARACTERS.find(character) for character in text])
    windows = codes[codes >= 0].unfold(0, WINDOW, WINDOW)
    return torch.zeros(len(windows), len(CHARACTERS)).scatter_add(1, windows, torch.ones(windows.shape))
