"""Independent random numbers for every purpose of one seed."""

from __future__ import annotations

import hashlib

import torch


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for each purpose ("inputs", "labels", "projection").

    With one stream for all, drawn inputs would equal the random projection of an output of the same shape, and
    would be correlated with the weights of the first layer.
    """
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
