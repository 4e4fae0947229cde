"""A last layer with a range leaves the loss of the nearest value that it can give."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope import capture, load
from gradscope.measure._reach import RANGES, reachable_loss
from gradscope.schema import Estimate

X = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
VALUES = torch.linspace(-2, 2, 16)[:, None]


def reached(end: nn.Module, targets: Tensor = VALUES, loss=F.mse_loss) -> Estimate:
    found = load.subject(nn.Sequential(nn.Linear(8, 1), end), X, targets=targets, loss=loss)
    graph, run = capture.graph(found)
    return reachable_loss(found, graph, run.output)


@pytest.mark.parametrize(
    ("end", "low", "high"), [(nn.ReLU(), 0, 9), (nn.Sigmoid(), 0, 1), (nn.Tanh(), -1, 1), (nn.LogSoftmax(-1), -9, 0)]
)
def test_what_is_out_of_range_costs_the_way_to_the_nearest_end(end: nn.Module, low: float, high: float) -> None:
    beyond = [max(low - v, 0, v - high) for v in VALUES.flatten().tolist()]

    assert reached(end).value == pytest.approx(sum(b * b for b in beyond) / len(beyond), rel=1e-5)


def test_a_last_layer_without_a_range_reaches_every_value() -> None:
    assert reached(nn.Identity()).value == 0


def test_targets_that_fit_the_range_are_reached() -> None:
    assert reached(nn.Sigmoid(), (VALUES > 0).float()).value == 0


def test_classes_are_not_values() -> None:
    def loss(y: Tensor, t: Tensor) -> Tensor:
        return F.cross_entropy(torch.cat([y, -y], 1), t)

    assert not reached(nn.Sigmoid(), (VALUES > 0).long().flatten(), loss).is_known


def test_the_ranges_are_those_of_torch() -> None:
    wide = torch.cat([torch.linspace(-50, 50, 1001)[:, None], torch.zeros(1001, 1)], 1)
    names = {name.lower(): name for name in dir(nn) if name.lower() in RANGES}
    assert set(names) == set(RANGES)
    for lower, name in names.items():
        values = getattr(nn, name)(dim=1)(wide) if "softmax" in lower else getattr(nn, name)()(wide)
        low, high = RANGES[lower]
        assert low - 1e-6 <= values.min() and values.max() <= high + 1e-6, name
        assert low < -1e30 or values.min() < low + 0.03, name
        assert high > 1e30 or values.max() > high - 0.03, name
