"""Small starts that are meant are allowed for, and nothing more than they take."""

import math

import pytest
import torch
from torch import Tensor, nn

from gradscope import capture, diagnose, measure
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.diagnose._features import features
from gradscope.diagnose._meant import has_zero_weight, meant_decades
from gradscope.diagnose._signal import gradient_norm
from gradscope.schema import Profile
from tests.diagnose.planted import TOKENS, VECTORS, Stack
from tests.subjects import subject


class Listening(nn.Module):
    """A token of the model's own that hears of the data through scaled branches only (CaiT), or a plain stream."""

    def __init__(self, scale: float, *, has_token: bool = True) -> None:
        super().__init__()
        self.has_token = has_token
        self.token = nn.Parameter(torch.randn(1, 16))
        self.mix, self.head = nn.ModuleList([nn.Linear(16, 16) for _ in range(2)]), nn.Linear(16, 4)
        self.scales = nn.ParameterList([nn.Parameter(torch.full((16,), scale)) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        stream = self.token.expand(len(x), -1) if self.has_token else x
        for mix, scale in zip(self.mix, self.scales, strict=True):
            stream = stream + scale * mix(torch.tanh(x))
        return self.head(stream)


def measured(model: nn.Module, x: Tensor = VECTORS) -> Profile:
    examined = subject(model, x, loss=lambda output, _: (output - 1).square().mean())
    with borrowed(model, training=True, seed=0):
        return measure.profile(examined, capture.graph, Config(), has_spectra=False)[1]


@pytest.mark.parametrize("scale", [1e-1, 1e-5])
def test_scales_that_everything_must_pass(scale: float) -> None:
    profile = measured(Listening(scale))

    data, heard = profile.by_name["input"], profile.by_name["add_2"]
    lost = math.log10(gradient_norm(heard) / gradient_norm(data))

    assert meant_decades(profile, Config()) == pytest.approx(min(lost, -math.log10(scale)), rel=1e-6)
    assert lost - meant_decades(profile, Config()) < 1
    assert not [f for f in diagnose.findings(profile, Config()) if f.severity == "error"]


def test_what_a_small_scale_takes_is_no_fault_to_the_verdict() -> None:
    meant, plain = (features(measured(Listening(scale))) for scale in (1e-6, 1.0))
    deaf = Listening(1e-6)
    with torch.no_grad():
        for mix in deaf.mix:
            mix.weight.mul_(1e-7)

    for name in ("vanishing", "indifference", "slow_with_sgd", "slow_with_adam"):
        assert meant[name] == pytest.approx(plain[name], abs=1.0), name
    assert (features(measured(deaf))["indifference"] or 0) > 5


def test_an_identity_beside_them_leaves_nothing_to_allow_for() -> None:
    assert meant_decades(measured(Listening(1e-5, has_token=False)), Config()) < 0.1


def test_a_model_that_hears_nothing_for_another_reason_is_still_found() -> None:
    model = Listening(1e-2)
    with torch.no_grad():
        for mix in model.mix:
            mix.weight.mul_(1e-7)
    codes = {f.code for f in diagnose.findings(measured(model), Config())}

    assert "GS106" in codes


def test_positions_at_zero_are_no_zero_weights() -> None:
    class Positions(Stack):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.zeros(1, 12, 32))

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.norm(self.layers[0](self.embedding(tokens) + self.position)))

    model = Positions()

    assert not has_zero_weight(measured(model, TOKENS))
    nn.init.zeros_(model.head.weight)
    assert has_zero_weight(measured(model, TOKENS))
