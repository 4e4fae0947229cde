"""Prefix Jacobians and the density of the network's singular values against dense ones."""

import copy
import math

import pytest
import torch
from torch import nn

from gradscope import capture, measure
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.schema import Profile
from tests.reference import dense_jacobian
from tests.subjects import classified, random, subject


def profiled(model: nn.Module, *inputs: torch.Tensor, **options: int) -> Profile:
    examined = subject(model, *inputs, training=False)
    with borrowed(model, training=False, seed=0):
        return measure.profile(examined, capture.graph, Config(**options))[1]


def orthogonal_network(depth: int, scale: float) -> nn.Sequential:
    layers = [nn.Linear(24, 24) for _ in range(depth)]
    for i, layer in enumerate(layers):
        nn.init.orthogonal_(layer.weight, gain=scale, generator=torch.Generator().manual_seed(i))
    return nn.Sequential(*layers)


def test_growth_of_a_scaled_isometry_is_its_power() -> None:
    found = profiled(orthogonal_network(6, 1.5), random(2, 24))
    for depth in range(6):
        assert found.by_name[str(depth)].quantities["prefix_rms_gain"].value == pytest.approx(
            found.by_name["0"].quantities["prefix_rms_gain"].value * 1.5**depth, rel=1e-4
        )


def test_prefix_gains_match_dense_jacobians() -> None:
    model = nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 8), nn.ReLU(), nn.Linear(8, 5))
    x, probes = random(2, 24), 400
    found = profiled(model, x, network_probes=probes)
    for depth in range(1, 6):
        prefix = model[:depth]
        jacobian = dense_jacobian(lambda z, prefix=prefix: prefix.double()(z), x)
        model.float()
        truth = math.sqrt(jacobian.square().sum().item() / x.numel())
        gain = found.by_name[str(depth - 1)].quantities["prefix_rms_gain"]
        assert gain.low <= truth <= gain.high
        assert gain.value == pytest.approx(truth, rel=0.05), depth


def test_an_isometric_network_has_no_spread_and_a_gaussian_one_has() -> None:
    isometric = profiled(orthogonal_network(5, 1.0), random(2, 24)).network
    assert isometric["jacobian_log_spread"].value == pytest.approx(0, abs=1e-3)
    assert isometric["jacobian_spectral_norm"].value == pytest.approx(1, rel=1e-4)
    assert isometric["jacobian_stable_rank"].value == pytest.approx(48, rel=1e-2)
    gaussian = orthogonal_network(5, 1.0)
    for layer in gaussian:
        nn.init.normal_(layer.weight, std=24**-0.5, generator=torch.Generator().manual_seed(1))
    assert profiled(gaussian, random(2, 24)).network["jacobian_log_spread"].value > 0.5


def test_a_large_network_gets_the_least_effort() -> None:
    generous, tight = (profiled(orthogonal_network(4, 1.0), random(2, 24), network_work=w) for w in (10**9, 1))
    assert generous.network["jacobian_log_spread"].n == 2
    assert tight.network["jacobian_log_spread"].n == 1
    assert tight.network["jacobian_log_spread"].high == math.inf


def test_the_document_has_them() -> None:
    examined = classified(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)))
    with borrowed(examined.model, training=True, seed=0):
        found = measure.profile(examined, capture.graph, Config())[1]
    assert {"jacobian_stable_rank", "jacobian_log_spread"} <= set(found.network)
    assert all("prefix_rms_gain" in layer.quantities for layer in found.layers if layer.node.kind == "module")


class Cached(nn.Module):
    """Returns what it remembers beside its answer, as a decoder does with keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.head = nn.Linear(24, 24), nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        key = self.key(x)
        return {"logits": self.head(torch.tanh(key)), "key": key}


def test_the_network_ends_where_its_first_output_does() -> None:
    torch.manual_seed(0)
    model, x = Cached(), random(2, 24)
    examined = subject(model, x, training=False, loss=lambda output, _: output["logits"].square().sum())
    with borrowed(model, training=False, seed=0):
        graph, found = measure.profile(examined, capture.graph, Config())
    assert [graph.nodes[i].name for i in graph.outputs] == ["head", "key"]
    dense = torch.linalg.svdvals(dense_jacobian(lambda z: copy.deepcopy(model).double()(z)["logits"], x))[0].item()
    norm = found.network["jacobian_spectral_norm"]
    assert norm.low <= dense * 1.0001
    assert dense <= norm.high
    assert "prefix_rms_gain" in found.by_name["head"].quantities


class Masked(nn.Module):
    """A dropout that no replay repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(24, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.nn.functional.alpha_dropout(self.first(x), 0.1, training=True))


def test_layers_behind_a_call_without_a_derivative_are_unknown_and_those_before_are_not() -> None:
    layers = profiled(Masked(), random(2, 24)).by_name
    assert layers["first"].quantities["prefix_rms_gain"].is_known
    last = layers["last"].quantities["prefix_rms_gain"]
    assert not last.is_known
    assert "would draw a new mask" in last.method
