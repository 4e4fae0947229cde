"""Deep models predicted from shallow ones, against the whole."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradscope import predict
from gradscope.predict._deep import Deep, deep
from gradscope.schema import Profile
from tests.predict.test_profile import Residual, chain
from tests.subjects import random

WIDTH, BLOCKS, MOST = 256, 80, 48
ACTIVATION_BITS, GRADIENT_BITS = 0.2, 0.5  # as far as predictions may be off a measurement


class PostNorm(nn.Module):
    """An embedding, blocks with their norm at the end, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"up": nn.Linear(WIDTH, WIDTH), "norm": nn.LayerNorm(WIDTH)}) for _ in range(BLOCKS)
        )
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block["norm"](x + torch.relu(block["up"](x)))
        return self.head(x)


class PreNorm(nn.Module):
    """The same with the norm first, and one more before the head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.trunk = nn.Linear(WIDTH, WIDTH), Residual(WIDTH, BLOCKS)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.trunk(self.first(x))))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "narrow chain": lambda: chain(nn.ReLU, WIDTH // 8, BLOCKS, 2.5, 0.0),
    "exploding chain": lambda: chain(nn.ReLU, WIDTH, BLOCKS, 2.5, 0.0),
    "critical chain": lambda: chain(nn.Tanh, WIDTH, BLOCKS, 1.0, 0.0),
    "pre-norm": PreNorm,
    "post-norm": PostNorm,
}


def both(build: Callable[[], nn.Module]) -> tuple[Profile, Profile]:
    """From shallow models, and from the whole."""
    plan = predict.plan(build)
    x = random(4, next(plan.model.parameters()).shape[-1]).to("meta")
    model = deep(plan, MOST)
    assert isinstance(model, Deep) and model.blocks.blocks == BLOCKS
    return model.profile(model.forward((x,)), (x,)), predict.profile(predict.forward(plan, (x,)))


@pytest.mark.parametrize("name", MODELS)
def test_a_law_of_blocks_foretells_the_whole(name: str) -> None:
    theory, truth = both(MODELS[name])
    worst = {"activation": 0.0, "gradient": 0.0}
    outside = []

    assert [x.name for x in theory.layers] == [x.name for x in truth.layers]
    assert [x.node.inputs for x in theory.layers] == [x.node.inputs for x in truth.layers]
    assert theory.outputs == truth.outputs
    for a, b in zip(theory.layers, truth.layers, strict=True):
        for what in worst:
            one, other = getattr(a, what), getattr(b, what)
            assert (one is None) == (other is None), (a.name, what)
            if one is not None and other.second_moment.value > 0:
                bits = abs(math.log2(one.second_moment.value / other.second_moment.value))
                worst[what] = max(worst[what], bits)
                if not one.second_moment.low <= other.second_moment.value <= one.second_moment.high:
                    outside.append((a.name, what, bits))
    gains = [p.network["gradient_gain"] for p in (theory, truth)]
    print(worst, gains, theory.coverage.capture)

    assert not outside
    assert theory.network["blocks_run"].value == MOST // 2 and "others extrapolated" in theory.coverage.capture
    if name != "narrow chain":  # there the spread over initializations has not settled: its interval says so
        assert worst["activation"] < ACTIVATION_BITS and worst["gradient"] < GRADIENT_BITS
        assert abs(math.log2(gains[0].value / gains[1].value)) < GRADIENT_BITS / 2
        check_parameters(theory, truth)


def check_parameters(theory: Profile, truth: Profile) -> None:
    """Those of the blocks that were not run, too."""
    gradients = {p.name: p.gradient_rms for p in truth.parameters}

    assert [p.name for p in theory.parameters] == [p.name for p in truth.parameters]
    for parameter in theory.parameters:
        known = gradients[parameter.name]
        assert parameter.gradient_rms is not None and known is not None
        assert abs(math.log2(parameter.gradient_rms.value / known.value)) < GRADIENT_BITS, parameter.name


def test_a_model_that_is_not_deep_is_run_whole() -> None:
    assert deep(predict.plan(lambda: chain(nn.Tanh, WIDTH, MOST, 1.3, 0.05)), MOST) is None


class Counting(nn.Module):
    """Its code knows how many blocks it has."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(20))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(20):
            x = torch.tanh(self.blocks[i](x))
        return x


def test_a_model_that_does_not_run_in_part_is_run_whole() -> None:
    sketch = predict.Sketch(predict.plan(Counting), 16)
    profile = sketch.profile(sketch.forward((random(4, 8).to("meta"),)))

    assert len([x for x in profile.layers if x.node.op == "Linear"]) == 20
    assert "blocks_run" not in profile.network


def test_blocks_that_are_initialized_differently_are_not_one_run() -> None:
    def build() -> nn.Module:
        model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(BLOCKS)))
        for depth, layer in enumerate(model.children(), start=1):
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=1 / math.sqrt(WIDTH * depth))
        return model

    assert deep(predict.plan(build), MOST) is None
