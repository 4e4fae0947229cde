"""A two-layer LSTM that predicts the next letter of Python's own manual, which every Python brings along."""

import string
from collections.abc import Iterator
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn

LETTERS = string.ascii_lowercase + " "
LENGTH, WIDTH, BATCH = 64, 128, 32


class LSTM(nn.Module):
    """Embedding, two recurrent layers, next-letter logits at every position."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, num_layers=2, batch_first=True)
        self.head = nn.Linear(WIDTH, len(LETTERS))

    def forward(self, tokens: Tensor) -> Tensor:  # (batch, LENGTH) -> (batch, len(LETTERS), LENGTH)
        hidden, _ = self.lstm(self.embedding(tokens))
        return self.head(hidden).transpose(1, 2)


def make_model() -> nn.Module:
    """With PyTorch's default weights."""
    return LSTM()


def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows of letters, and the same windows one letter later."""
    letters = (c if c in LETTERS else " " for c in " ".join(topics.values()).lower())
    codes = torch.tensor([LETTERS.index(letter) for letter in letters])
    windows = codes.unfold(0, LENGTH + 1, 1)  # (positions, LENGTH + 1)
    generator = torch.Generator().manual_seed(seed)
    while True:
        chosen = windows[torch.randint(len(windows), (BATCH,), generator=generator)]
        yield chosen[:, :-1], chosen[:, 1:]


def example_inputs() -> tuple[Tensor, Tensor]:
    """One batch, with its targets."""
    return next(batches(0))
