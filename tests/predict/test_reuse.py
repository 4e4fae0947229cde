"""Sums whose parts went through one parameter at different times: recurrent cells and shared blocks."""

import math
import statistics
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gradscope import predict
from gradscope.schema import Estimate
from tests.subjects import random

SEEDS, WIDTH, STEPS = 20, 64, 24


class Repeated(nn.Module):
    """A leaky sum over steps, with one linear layer for all of them or one for each."""

    def __init__(self, *, is_shared: bool) -> None:
        super().__init__()
        layers = [nn.Linear(WIDTH, WIDTH) for _ in range(1 if is_shared else STEPS)]
        self.layers = nn.ModuleList(layers)
        self.show = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        state = x
        for step in range(STEPS):
            state = 0.5 * state + torch.tanh(self.layers[step % len(self.layers)](state))
        return self.show(state)


def predicted(build: Callable[[], nn.Module], x: Tensor, name: str) -> Estimate:
    profile = predict.profile(predict.forward(predict.plan(build), (x,)))
    moments = next(layer.activation for layer in profile.layers if layer.name == name)
    assert moments is not None
    return moments.second_moment


def measured(build: Callable[[], nn.Module], x: Tensor) -> list[float]:
    found = []
    with torch.random.fork_rng(), torch.no_grad():
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            output = build()(x)
            output = output[0] if isinstance(output, tuple) else output
            found.append(output.square().mean().item())
    return found


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_layer_lies_in_its_interval(cell: type[nn.RNNBase]) -> None:
    x = random(8, STEPS, WIDTH)
    build = lambda: nn.Sequential(cell(WIDTH, WIDTH, 2, batch_first=True))  # noqa: E731
    theory, truth = predicted(build, x, "0"), measured(build, x)
    inside = statistics.fmean(theory.low <= t <= theory.high for t in truth)
    print(theory, statistics.fmean(truth))

    assert inside >= 0.9


def test_shared_steps_are_less_certain_than_separate_ones() -> None:
    widths = {}
    for is_shared in (True, False):
        build = lambda is_shared=is_shared: Repeated(is_shared=is_shared)  # noqa: E731
        x = random(16, WIDTH)
        theory, truth = predicted(build, x, "show"), measured(build, x)
        inside = statistics.fmean(theory.low <= t <= theory.high for t in truth)
        widths[is_shared] = math.log2(theory.high / theory.low)
        print(is_shared, theory, statistics.fmean(truth))

        assert inside >= 0.9, is_shared

    assert widths[False] < 0.7 * widths[True]
