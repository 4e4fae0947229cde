"""Recurrent weights become orthogonal gate by gate, and gradients survive a long sequence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.prescribe.cases import case, changes, cured, seeded
from tests.prescribe.sick import tower


class Last(nn.Module):
    """The answer is due after the last step."""

    def __init__(self, kind: type[nn.RNNBase], scale: float = 1.0) -> None:
        super().__init__()
        self.body, self.head = kind(4, 16, 2, batch_first=True), nn.Linear(16, 3)
        for key, parameter in self.body.named_parameters():
            if key.startswith("weight_hh"):
                parameter.data *= scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_every_gate_is_orthogonal(kind: type[nn.RNNBase]) -> None:
    done = cured("recurrent-initialization", case(Last(kind), torch.randn(2, 5, 4)))
    for weight in (done.body.weight_hh_l0, done.body.weight_hh_l1):
        for gate in weight.detach().split(16):
            assert torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5)


def test_the_forget_gate_of_an_lstm_starts_open() -> None:
    done = cured("recurrent-initialization", case(Last(nn.LSTM), torch.randn(2, 5, 4)))
    expected = torch.zeros(64)
    expected[16:32] = 1
    for layer in ("l0", "l1"):
        total = getattr(done.body, f"bias_ih_{layer}") + getattr(done.body, f"bias_hh_{layer}")
        assert torch.equal(total.detach(), expected)


def gradient_at_first_step(model: nn.Module) -> float:
    x = torch.randn(8, 20, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model(x).square().sum().backward()
    return float(x.grad[:, 0].norm() / x.grad[:, -1].norm())


def test_the_gradient_survives_a_sequence_where_it_vanished() -> None:
    sick = seeded(lambda: Last(nn.RNN, 0.3))
    done = cured("recurrent-initialization", case(sick, torch.randn(2, 5, 4)))
    vanished, kept = gradient_at_first_step(sick), gradient_at_first_step(done)
    print(vanished, kept)
    assert vanished < 1e-8
    assert kept > 1e-2


def test_projections_and_other_models_are_left_alone() -> None:
    assert changes("recurrent-initialization", case(tower(2, nn.Tanh), torch.randn(2, 64))) == []
    projected = nn.LSTM(4, 8, proj_size=2)
    assert (
        changes("recurrent-initialization", case(projected, torch.randn(5, 2, 4), loss=lambda y, _: y[0].sum())) == []
    )
