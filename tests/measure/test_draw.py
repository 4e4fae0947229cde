"""Statistics of draws against plain float64 ones."""

import math

import pytest
import torch
from torch import Tensor, nn

from gradscope.measure._draw import draw_of
from gradscope.measure._gain import forward_gain


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", ["normal", "uniform", "shifted"])
def test_moments_equal_those_of_float64(family: str) -> None:
    weight = {"normal": drawn(64, 48), "uniform": drawn(64, 48).erf(), "shifted": 3 + 0.01 * drawn(64, 48)}[family]
    x = weight.double().flatten()
    centred = x - x.mean()
    draw = draw_of(weight, units=0)

    assert draw.mean.value == pytest.approx(x.mean().item(), rel=1e-6, abs=1e-8)  # sums of 48 in float32
    assert draw.std.value == pytest.approx(centred.square().mean().sqrt().item(), rel=1e-4)
    assert draw.kurtosis.value == pytest.approx((centred.pow(4).mean() / centred.square().mean() ** 2).item(), rel=1e-4)
    assert draw.octaves.value == pytest.approx(x.abs().log2().std(correction=0).item(), rel=1e-6)
    assert draw.absolute_maximum.value == x.abs().max().item()


def test_units_against_comparing_all_pairs() -> None:
    rows = torch.randint(0, 2, (60, 5), generator=torch.Generator().manual_seed(1)).float()
    rows[7] = 0
    same = (rows[:, None] == rows[None]).all(-1)
    draw = draw_of(rows, units=0)

    assert draw.duplicate_units.value == pytest.approx((same.sum(1) > 1).double().mean().item())
    assert draw.constant_units.value == pytest.approx((rows == rows[:, :1]).all(1).double().mean().item())
    assert draw.zero_units.value == pytest.approx((rows == 0).all(1).double().mean().item())


def test_units_may_be_columns() -> None:
    weight = drawn(8, 4)
    weight[:, 1] = weight[:, 3]

    assert draw_of(weight, units=1).duplicate_units.value == 0.5
    assert draw_of(weight, units=0).duplicate_units.value == 0
    assert not draw_of(weight, units=None).duplicate_units.is_known


def test_padding_and_nonfinite_elements() -> None:
    table = drawn(6, 3)
    table[2] = 2.0

    padding = draw_of(table, units=0, padding=2).padding_rms

    assert padding is not None
    assert padding.value == 2
    table[0, 0] = math.nan
    assert not draw_of(table, units=0).absolute_maximum.is_known
    assert not draw_of(table, units=0).duplicate_units.is_known


@pytest.mark.parametrize(
    ("op", "activation"),
    [
        ("ReLU", nn.ReLU()),
        ("leaky_relu", nn.LeakyReLU()),
        ("NewGELUActivation", nn.GELU()),
        ("SiLU", nn.SiLU()),
        ("relu6", nn.ReLU6()),
        ("SELU", nn.SELU()),
        ("ELU", nn.ELU()),
        ("tanh", nn.Tanh()),
        ("hardswish", nn.Hardswish()),
        ("LogSigmoid", nn.LogSigmoid()),
        ("output", nn.Identity()),
    ],
)
def test_gains_against_monte_carlo(op: str, activation: nn.Module) -> None:
    z = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gain = forward_gain(op)

    assert gain == pytest.approx(activation(z).square().mean().item() ** -0.5, rel=0.01)


def test_other_ops_have_no_gain() -> None:
    assert forward_gain("scaled_dot_product_attention") is None
    assert forward_gain("softmax") is None
