"""A residual network without normalization: every block adds to the variance, and thirty-two of them explode."""

from digits import CLASSES
from digits import batches as batches
from digits import example_inputs as example_inputs
from torch import Tensor, nn

BLOCKS, CHANNELS = 32, 32


class Block(nn.Module):
    """x + conv(relu(conv(relu(x)))), each convolution with He's initialization."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:  # (batch, CHANNELS, 8, 8)
        return x + self.conv2(self.conv1(x.relu()).relu())


def make_model() -> nn.Module:
    """Stem, blocks, mean over positions, classes."""
    stem = nn.Conv2d(1, CHANNELS, 3, padding=1)
    blocks = [Block() for _ in range(BLOCKS)]
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES))
