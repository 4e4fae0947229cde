"""Twelve sigmoid layers: the derivative is at most a quarter, so the gradient vanishes at any usual initialization."""

from digits import CLASSES
from digits import batches as batches
from digits import example_inputs as example_inputs
from torch import nn

DEPTH, WIDTH = 12, 64


def make_model() -> nn.Module:
    """A plain stack with PyTorch's default weights."""
    layers: list[nn.Module] = [nn.Flatten()]
    for _ in range(DEPTH):
        layers += [nn.Linear(64, WIDTH), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))
