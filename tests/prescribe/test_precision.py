"""A format that loses the signal is not recommended; one that keeps it is, with the scale that it needs."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from gradscope.prescribe._contest import Entrant
from gradscope.prescribe._rehearsal import Rehearsal
from gradscope.prescribe._training import ADAM
from gradscope.prescribe.precision import autocast, precision
from tests.prescribe.cases import seeded
from tests.prescribe.sick import tower
from tests.prescribe.test_learning_rate import rehearsal


class Loud(nn.Module):
    """Its activations exceed 65504, the largest number of float16."""

    def __init__(self) -> None:
        super().__init__()
        self.body = tower(2, nn.Tanh, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body[3](self.body[2](1e6 * self.body[1](self.body[0](x))) / 1e6)
        return self.body[4](h)


def trained(make) -> Rehearsal:
    return replace(rehearsal(nn.Linear(64, 10), ADAM, steps=30), entrant=Entrant(lambda seed: seeded(make)))


def test_a_plain_network_trains_in_both_formats() -> None:
    found = precision(trained(lambda: tower(2, nn.Tanh, gain=1.0)))
    print(found)
    assert found["autocast"] == "bfloat16, float16"
    assert found["loss_scale"] >= 1


def test_what_overflows_float16_is_told() -> None:
    found = precision(trained(Loud))
    print(found)
    assert found["autocast"] == "bfloat16"
    assert "loss_scale" not in found


def test_only_float32_is_asked() -> None:
    assert precision(replace(trained(lambda: tower(2, nn.Tanh)), dtype="float64")) == {}


def test_the_scale_leaves_the_gradients_as_they_are() -> None:
    model = nn.Linear(3, 1)
    hooks = autocast("cpu", torch.bfloat16, 2.0**12)
    (model(torch.ones(1, 3)).sum() * hooks.factor(0)).backward()
    hooks.before_step(model, 0)
    assert torch.equal(model.weight.grad, torch.ones(1, 3))
    with hooks.context():
        assert model(torch.ones(1, 3)).dtype == torch.bfloat16


class WithoutHalf(nn.Module):
    """It has a layer that no device runs in float16."""

    def __init__(self) -> None:
        super().__init__()
        self.body = tower(2, nn.Tanh, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body[0](x)
        if h.dtype == torch.float16:
            raise RuntimeError("could not create a primitive descriptor")
        return self.body[1:](h)


def test_a_format_that_the_device_cannot_run_is_told_and_the_others_are_tried() -> None:
    found = precision(trained(WithoutHalf))
    assert found["autocast"] == "bfloat16"
    assert found["note"] == "this device cannot run every layer in float16"
    assert "loss_float16" not in found
