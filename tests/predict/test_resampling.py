"""Reading a map at computed places, against many draws."""

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from gradscope import predict
from tests.predict.checks import Between, agree
from tests.subjects import random

_PLACES = 2 * torch.rand(8, 5, 7, 2, generator=torch.Generator().manual_seed(0)) - 1


def read(h: Tensor) -> Tensor:
    """At places all over the map, the border left out."""
    return grid_sample(h, 0.9 * _PLACES.to(h.device), align_corners=True)


def test_four_entries_are_averaged() -> None:
    agree(lambda: nn.Sequential(Between(read, nn.Conv2d(4, 32, 1)), nn.Conv2d(32, 8, 1)), random(8, 4, 16, 16))


def test_places_receive_a_gradient() -> None:
    class Offsets(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value, self.places = nn.Conv2d(4, 32, 1), nn.Linear(2, 2)

        def forward(self, x: Tensor, where: Tensor) -> Tensor:
            return grid_sample(self.value(x), 0.3 * torch.tanh(self.places(where)), align_corners=True)

    x, where = random(8, 4, 16, 16), random(8, 12, 12, 2)
    profile = predict.profile(predict.forward(predict.plan(Offsets), (x, where)))
    predicted = next(p.gradient_rms for p in profile.parameters if p.name == "places.weight")
    assert predicted is not None
    total = 0.0
    with torch.random.fork_rng():
        for seed in range(40):
            torch.manual_seed(seed)
            model = Offsets()
            out = model(x, where)
            (out * torch.randn_like(out)).sum().backward()
            gradient = model.places.weight.grad
            assert gradient is not None
            total += gradient.square().mean().item() / 40
    print(predicted.value, total**0.5)

    assert abs(predicted.value / total**0.5 - 1) < 0.25
