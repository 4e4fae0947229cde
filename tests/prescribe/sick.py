"""Small sick models on real digits, their healthy twins, and the batches they are trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

CLASSES = 10


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Standardized images (samples, 64) and labels (samples,)."""
    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images, dtype=torch.float32)
    return (pixels - pixels.mean()) / pixels.std(), torch.tensor(labels)


def batches(shape: tuple[int, ...] = (64,), size: int = 64) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
    """Endless random batches of digits as `prescribe` wants them: seed -> (inputs, targets)."""

    def draw(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = digits()
        generator = torch.Generator().manual_seed(seed)
        while True:
            chosen = torch.randint(len(labels), (size,), generator=generator)
            yield images[chosen].view(-1, *shape), labels[chosen]

    return draw


def tower(depth: int, activation: type[nn.Module], *, gain: float | None = None, width: int = 64) -> nn.Sequential:
    """A plain network of `depth` hidden layers; torch's default weights, or normal ones of a given gain."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(64 if not layers else width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, CLASSES))
    for module in model.modules():
        if gain is not None and isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=gain / module.in_features**0.5)
    return model


class Residual(nn.Module):
    """Convolutional residual blocks; without norms and with He initialization their sum explodes."""

    def __init__(self, depth: int, channels: int = 8, *, is_normalized: bool = False) -> None:
        super().__init__()

        def convolution(inputs: int) -> nn.Module:
            layer = nn.Conv2d(inputs, channels, 3, padding=1)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            return nn.Sequential(layer, nn.BatchNorm2d(channels)) if is_normalized else layer

        self.stem = convolution(1)
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(channels), nn.ReLU(), convolution(channels)) for _ in range(depth)
        )
        self.head = nn.Linear(channels * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = F.relu(x + block(x))
        return self.head(F.avg_pool2d(x, 2).flatten(1))


SICK: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "tanh-20-default": (lambda: tower(20, nn.Tanh, width=32), (64,)),
    "relu-16-default": (lambda: tower(16, nn.ReLU, width=32), (64,)),
    "relu-12-too-large": (lambda: tower(12, nn.ReLU, width=32, gain=4.0), (64,)),
    "sigmoid-8": (lambda: tower(8, nn.Sigmoid, width=32), (64,)),
    "residual-10-without-norm": (lambda: Residual(10, 4), (1, 8, 8)),
}
HEALTHY: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "tanh-4": (lambda: tower(4, nn.Tanh, gain=1.2), (64,)),
    "relu-4": (lambda: tower(4, nn.ReLU, gain=1.4), (64,)),
    "sigmoid-1": (lambda: tower(1, nn.Sigmoid), (64,)),
    "residual-4-with-norm": (lambda: Residual(4, is_normalized=True), (1, 8, 8)),
}
