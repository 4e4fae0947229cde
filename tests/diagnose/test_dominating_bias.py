"""Biases that leave nothing of the input."""

from torch import nn

from tests.diagnose.planted import VECTORS, conformance, mlp


def test_a_large_bias_before_a_rectifier() -> None:
    def build(bias: float) -> nn.Module:
        model = mlp(2)
        nn.init.constant_(model[2].bias, bias)
        return model

    assert conformance(lambda: build(-10.0), VECTORS)["GS609"].layers == ("2.bias",)
    assert conformance(lambda: build(0.1), VECTORS) == {}


def test_priors_of_an_output_and_gates_are_choices() -> None:
    def build() -> nn.Module:
        model = nn.Sequential(nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 1))
        nn.init.constant_(model[0].bias, -4.6)
        nn.init.constant_(model[2].bias, -4.6)
        return model

    assert "GS609" not in conformance(build, VECTORS)
