"""The measured profile against plain autograd on the same model."""

import math

import pytest
import torch
from torch import nn

from gradscope import capture, measure
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.schema import Profile, Subject
from tests.subjects import classified, classifier, random, subject


def profiled(examined: Subject, config: Config | None = None) -> Profile:
    with borrowed(examined.model, training=examined.info.training, seed=0):
        return measure.profile(examined, capture.graph, config or Config())[1]


def test_gradients_equal_autograds() -> None:
    examined = classified(classifier(3, nn.Tanh))
    found = profiled(examined)
    values, activations = examined.args[0], []
    for module in examined.model:
        values = module(values)
        activations.append(values)
    gradients = torch.autograd.grad(examined.loss(values, examined.targets), activations)
    layers = [layer for layer in found.layers if layer.node.kind == "module"]

    for layer, activation, gradient in zip(layers, activations, gradients, strict=True):
        assert layer.activation is not None and layer.gradient is not None
        assert layer.activation.variance.value == pytest.approx(activation.var(correction=0).item(), rel=1e-4)
        assert layer.gradient.second_moment.value == pytest.approx(gradient.square().mean().item(), rel=1e-4)


def test_parameter_gradients_and_reach() -> None:
    model = classifier(2, nn.ReLU)
    model.register_parameter("unused", nn.Parameter(torch.zeros(1408)))
    examined = classified(model)
    found = profiled(examined)
    examined.loss(model(*examined.args), examined.targets).backward()
    by_name = {p.name: p for p in found.parameters}

    for name, parameter in model.named_parameters():
        rms = by_name[name].gradient_rms
        if parameter.grad is None:
            assert rms is None
        else:
            assert rms is not None
            assert rms.value == pytest.approx(parameter.grad.square().mean().sqrt().item(), rel=1e-4)
    total = sum(p.numel() for p in model.parameters())
    assert found.coverage.parameters_reached == pytest.approx(1 - 1408 / total)


def test_losses_at_the_start() -> None:
    found = profiled(classified(classifier(2, nn.ReLU)))

    assert found.network["expected_loss"].value == pytest.approx(math.log(10))
    assert found.network["initial_loss"].value == pytest.approx(math.log(10), rel=0.1)


@pytest.mark.parametrize("training", [True, False])
def test_network_and_block_norms_equal_the_dense_jacobian(training: bool) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.branch, self.last = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            return self.last(x + torch.tanh(self.branch(x)))

    torch.manual_seed(0)
    model = Residual()
    x = random(2, 6)
    found = profiled(subject(model, x, training=training), Config(network_iterations=30, block_iterations=30))
    jacobian = torch.autograd.functional.jacobian(model, x).reshape(6, 12).double()
    branch = torch.autograd.functional.jacobian(lambda h: h + torch.tanh(model.branch(h)), model.first(x))

    assert found.network["jacobian_spectral_norm"].value == pytest.approx(
        torch.linalg.matrix_norm(jacobian, 2).item(), rel=1e-3
    )
    (block,) = found.blocks
    assert block.block.name == "add_1"
    assert block.spectral_norm is not None
    assert block.spectral_norm.value == pytest.approx(
        torch.linalg.matrix_norm(branch.reshape(10, 10).double(), 2).item(), rel=1e-3
    )


def test_output_that_ignores_its_input_varies_not_at_all() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.bias + 0 * x.sum(1, keepdim=True)

    found = profiled(subject(Constant(), random(4, 3)))

    assert found.network["output_variation"].value == 0


def test_integer_inputs_enter_through_the_embedding() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 4))
    found = profiled(subject(model, torch.randint(0, 11, (3, 5))), Config(network_iterations=20))
    weight = model[1].weight

    assert found.network["jacobian_spectral_norm"].value == pytest.approx(
        torch.linalg.matrix_norm(weight, 2).item(), rel=1e-3
    )


def test_nan_is_a_result_not_an_exception() -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(self.layer(x) * 0 - 1)

    found = profiled(subject(Bad(), random(2, 4)))

    assert found.by_name["log_1"].activation is not None
    assert found.by_name["log_1"].activation.nonfinite_fraction.value == 1
