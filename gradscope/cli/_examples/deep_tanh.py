"""A network too deep for its initialization: thirty tanh layers with the weights that nn.Linear draws by default."""

import argparse
import inspect
import string
from collections.abc import Iterator
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn

CHARACTERS = string.printable
WINDOW, WIDTH, DEPTH, BATCH = 32, 64, 30, 64


class DeepTanh(nn.Module):
    """Tell English prose from Python code by thirty-two characters."""

    def __init__(self) -> None:
        super().__init__()
        fans_in = [WINDOW * len(CHARACTERS)] + [WIDTH] * (DEPTH - 1)
        self.layers = nn.ModuleList(nn.Linear(fan_in, WIDTH) for fan_in in fans_in)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:  # (batch, WINDOW, characters)
        x = x.flatten(start_dim=1)
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
    sources = (_windows("\n".join(topics.values())), _windows(inspect.getsource(argparse)))
    generator = torch.Generator().manual_seed(seed)
    while True:
        halves = [w[torch.randint(len(w), (BATCH // 2,), generator=generator)] for w in sources]
        labels = torch.arange(2).repeat_interleave(BATCH // 2)
        yield nn.functional.one_hot(torch.cat(halves), len(CHARACTERS)).float(), labels


def example_inputs() -> tuple[Tensor, Tensor]:
    """One batch, with its targets."""
    return next(batches(0))


def _windows(text: str) -> Tensor:
    """All windows of a text, as positions in CHARACTERS: (windows, WINDOW)."""
    codes = [CHARACTERS.index(character) for character in text if character in CHARACTERS]
    return torch.tensor(codes).unfold(0, WINDOW, 1)
