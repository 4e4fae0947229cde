"""A network like ResNet-18, on digits enlarged to 32x32: healthy."""

from collections.abc import Iterator

import digits
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two normalized convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(fan_out)
        self.shortcut = nn.Sequential()
        if fan_in != fan_out:
            self.shortcut = nn.Sequential(nn.Conv2d(fan_in, fan_out, 1, stride, bias=False), nn.BatchNorm2d(fan_out))

    def forward(self, x: Tensor) -> Tensor:  # (batch, fan_in, height, width)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """Four stages of two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = nn.Linear(512, digits.CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:  # (batch, 3, 32, 32)
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(x.mean(dim=(2, 3)))


def make_model() -> nn.Module:
    """As torchvision initializes it."""
    return ResNet18()


def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Digits as three equal channels of 32x32 pixels, sixteen at a time."""
    for images, labels in digits.batches(seed):
        large = F.interpolate(images[:16], scale_factor=4, mode="bilinear")  # (16, 1, 32, 32)
        yield large.expand(-1, 3, -1, -1).contiguous(), labels[:16]


def example_inputs() -> tuple[Tensor, Tensor]:
    """One batch, with its labels."""
    return next(batches(0))
