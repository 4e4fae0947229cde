"""Saturation of bounded activations."""

import pytest
import torch

from gradscope.measure._quantity import Observation
from gradscope.measure.saturated_fraction import saturated_fraction


def share(op: str, outputs: list[float]) -> float:
    found = saturated_fraction(Observation(op, torch.tensor(outputs), batch=len(outputs)))
    assert found is not None
    return found.item()


def test_tanh_saturates_at_plus_and_minus_one() -> None:
    assert share("Tanh", [0.98, -0.98, 0.96, 0.0]) == 0.5


def test_sigmoid_saturates_at_zero_and_one() -> None:
    assert share("Sigmoid", [0.02, 0.98, 0.5, 0.04]) == 0.5


def test_both_agree_with_their_derivative() -> None:
    z = torch.linspace(-10, 10, 1001, dtype=torch.float64)
    saturated = (torch.tanh(z).abs() > 0.97).double().mean().item()

    assert share("tanh", torch.tanh(z).tolist()) == pytest.approx(saturated)
    assert share("sigmoid", torch.sigmoid(z).tolist()) == pytest.approx((z.abs() > 3.4761).double().mean().item())


def test_unbounded_activations_cannot_saturate() -> None:
    assert saturated_fraction(Observation("ReLU", torch.ones(3), batch=3)) is None
