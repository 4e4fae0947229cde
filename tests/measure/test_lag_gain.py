"""Gradient over time against powers of the recurrent matrix."""

import pytest
import torch
from torch import nn

from gradscope.measure._quantity import Observation
from gradscope.measure.lag_gain import lag_gain
from tests.subjects import random


def input_gradient(rnn: nn.RNN, x: torch.Tensor) -> torch.Tensor:
    x = x.requires_grad_()
    rnn(x)[0][:, -1].sum().backward()
    assert x.grad is not None
    return x.grad


def linear(gain: float) -> nn.RNN:
    """A rectified network whose units all stay positive: its Jacobian over k steps is `gain`^k times the identity."""
    rnn = nn.RNN(4, 4, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.eye(4))
        rnn.weight_hh_l0.copy_(gain * torch.eye(4))
        rnn.bias_ih_l0.fill_(10.0)
        rnn.bias_hh_l0.zero_()
    return rnn


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.2])
def test_it_is_the_gain_over_three_quarters_of_the_sequence(gain: float) -> None:
    gradient = input_gradient(linear(gain), random(2, 16, 4).abs())
    value = lag_gain(Observation("input", gradient, batch=2))

    assert value is not None
    assert value.item() == pytest.approx(gain**12, rel=1e-4)


def test_no_gradient_at_the_first_steps_is_no_memory() -> None:
    gradient = torch.zeros(2, 8, 3)
    gradient[:, -1] = 1
    value = lag_gain(Observation("input", gradient, batch=2))

    assert value is not None and value.item() == 0


def test_not_applicable_to_what_is_no_sequence() -> None:
    assert lag_gain(Observation("input", random(2, 16), batch=2)) is None
    assert lag_gain(Observation("input", random(2, 3, 4), batch=2)) is None
    assert lag_gain(Observation("input", torch.zeros(2, 8, 4), batch=2)) is None
