"""Handwritten digits, 8x8 pixels, standardized: real data that scikit-learn brings along."""

from collections.abc import Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor

BATCH, CLASSES = 64, 10


def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless random batches of images (64, 1, 8, 8) and labels (64,)."""
    images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
    images = ((images - images.mean()) / images.std()).float().view(-1, 1, 8, 8)
    generator = torch.Generator().manual_seed(seed)
    while True:
        chosen = torch.randint(len(labels), (BATCH,), generator=generator)
        yield images[chosen], labels[chosen]


def example_inputs() -> tuple[Tensor, Tensor]:
    """One batch of images, with their labels."""
    return next(batches(0))
