"""Twenty ReLU layers whose weights were drawn too large: activations and gradients explode."""

from digits import CLASSES
from digits import batches as batches
from digits import example_inputs as example_inputs
from torch import nn

DEPTH, WIDTH = 20, 128


def make_model() -> nn.Module:
    """Weights of standard deviation 0.25 where He asks for 0.125: each layer doubles the signal."""
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in in [64] + [WIDTH] * (DEPTH - 1):
        linear = nn.Linear(fan_in, WIDTH)
        nn.init.normal_(linear.weight, std=0.25)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))
