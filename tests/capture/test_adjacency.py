"""Where `torch.fx.symbolic_trace` works, the tape finds the same edges between modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.capture.checks import adjacency_difference, captured
from tests.capture.models import Model

IMAGE = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def conv(i: int, o: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(i, o, 3, stride, padding=1)


class Residual(nn.Module):
    """A branch and a shortcut, with a projection where the shape changes."""

    def __init__(self, i: int, o: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.second = conv(i, o, stride), conv(o, o)
        self.norm, self.act = nn.BatchNorm2d(o), nn.ReLU(inplace=True)
        self.shortcut = nn.Conv2d(i, o, 1, stride) if (i, stride) != (o, 1) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.act(self.norm(self.first(x))))
        return F.relu(y + self.shortcut(x))


class Traceable(Model):
    """With one plain argument, as `symbolic_trace` wants it."""

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


class Scale(nn.Module):
    """A layer of the user: a leaf to the tape, two ops to fx."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x * self.gain)


class First(nn.Module):
    """Hands back one of the things it is handed."""

    def forward(self, x: list[Tensor]) -> Tensor:
        return x[0]


class Excite(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.pool, self.gate = nn.AdaptiveAvgPool2d(1), nn.Conv2d(n, n, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.pool(x)).sigmoid()


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv(3 + 4 * i, 4) for i in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x).relu()], 1)
        return x


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = conv(3, 4), conv(4, 8, 2), conv(8, 8, 2)
        self.up2, self.up1 = nn.ConvTranspose2d(8, 8, 2, 2), conv(16, 4)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        a = self.down1(x)
        b = self.down2(a)
        c = self.up2(self.middle(b))
        d = F.interpolate(self.up1(torch.cat([b, c], 1)), size=a.shape[2:])
        return {"out": self.head(torch.cat([a, d], 1)), "side": c}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out, self.norm = nn.Linear(16, 48), nn.Linear(16, 16), nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)[..., :16]
        x = F.pad(x, (0, 16 - x.shape[-1]))
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        return x + self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "chain": lambda: nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 4), nn.Flatten(), nn.Linear(1024, 3)),
    "residual": lambda: nn.Sequential(Residual(3, 4), Residual(4, 4), Residual(4, 8, 2)),
    "dense": Dense,
    "unet": UNet,
    "attention": Attention,
    "excite": lambda: nn.Sequential(conv(3, 4), Excite(4), conv(4, 2)),
    "users-leaf": lambda: nn.Sequential(conv(3, 4), Scale(), conv(4, 2), Scale()),
    "shared": lambda: Traceable(lambda self, x: self.b(self.a(x)) + self.a(self.a(x)), a=conv(3, 3), b=conv(3, 3)),
    "two-heads": lambda: Traceable(
        lambda self, x: (self.b(self.a(x)), self.c(x)), a=conv(3, 4), b=conv(4, 2), c=conv(3, 1)
    ),
    "grouped": lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.GroupNorm(2, 6), nn.SiLU(), nn.AvgPool2d(2)),
    "in-place": lambda: nn.Sequential(conv(3, 4), nn.ReLU(inplace=True), nn.Dropout(0.3, inplace=True), conv(4, 2)),
    "selected": lambda: Traceable(
        lambda self, x: self.c(self.first([self.a(x), self.b(x)])),
        a=conv(3, 4),
        b=conv(3, 4),
        c=conv(4, 2),
        first=First(),
    ),
    "shaped-like": lambda: Traceable(lambda self, x: self.b(self.a(x).view_as(x)), a=conv(3, 3), b=conv(3, 2)),
    "unused": lambda: Traceable(lambda self, x: (self.b(x), self.a(x))[1], a=conv(3, 4), b=conv(3, 4)),
    "split": lambda: Traceable(
        lambda self, x: self.c(torch.cat([self.a(x[:, :1]), self.b(x[:, 1:])], 1)),
        a=conv(1, 2),
        b=conv(2, 2),
        c=conv(4, 1),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_edges_between_modules_are_those_of_symbolic_trace(name: str) -> None:
    model = MODELS[name]()
    traced = torch.fx.symbolic_trace(model)
    with captured(model, IMAGE) as c:
        assert adjacency_difference(c, traced, [IMAGE]) == set()


def test_the_comparison_sees_a_missing_edge() -> None:
    model = MODELS["residual"]()
    with captured(model, IMAGE) as c:
        c.graph.digraph.remove_edge(*next(iter(c.graph.digraph.edges(c.node("0.norm").index))))
        assert adjacency_difference(c, torch.fx.symbolic_trace(model), [IMAGE]) != set()
