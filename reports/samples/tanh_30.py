"""Thirty tanh layers with PyTorch's default initialization: the gradient vanishes."""

from digits import CLASSES
from digits import batches as batches
from digits import example_inputs as example_inputs
from torch import nn

DEPTH, WIDTH = 30, 64


def make_model() -> nn.Module:
    """nn.Linear draws weights of variance 1 / (3 fan_in): each layer keeps a third of the variance."""
    layers: list[nn.Module] = [nn.Flatten()]
    for _ in range(DEPTH):
        layers += [nn.Linear(64, WIDTH), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))
