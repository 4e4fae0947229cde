"""Densities of chosen layers and of the network: which are measured, and that they are those of dense Jacobians."""

import math

import pytest
import torch
from torch import nn

import gradscope
from gradscope.config import Config
from gradscope.pipeline import Options
from gradscope.pipeline.static import foresee
from gradscope.schema import Density, GradscopeError, Report
from tests.reference import dense_spectrum
from tests.subjects import random


def seen(model: nn.Module, *density: str, x: torch.Tensor | None = None, seed: int = 0) -> Report:
    x = random(8, 24) if x is None else x
    options = {"prescribe": False, "trial_steps": False, "training": False}
    return gradscope.analyze(model, x, density=density, seed=seed, **options)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 24), nn.Linear(24, 10))
    nn.init.orthogonal_(model[2].weight)
    return model


def test_the_chosen_layers_are_measured_and_no_others() -> None:
    layers = {x.name: x.density for x in seen(network(), "2", "[01]").layers}
    assert [name for name, density in layers.items() if density] == ["0", "1", "2"]
    isometry = layers["2"]
    assert isometry is not None
    assert isometry.spread.value == pytest.approx(0, abs=1e-4)
    assert seen(network(), "2").profile.density is None


@pytest.mark.parametrize("is_wide", [False, True], ids=["tall", "wide"])
def test_the_networks_density_is_that_of_its_dense_jacobian(is_wide: bool) -> None:
    """By quadrature: of eight intervals at 99 %, more than one misses in one of 370 cases."""
    missed = []
    for seed in range(4):
        found, logs = compared(80, is_wide=is_wide, seed=seed)
        truths = ((found.mean, logs.mean().item()), (found.spread, logs.std(correction=0).item()))
        assert found.spread.method == "lanczos quadrature"
        missed += [(e, x) for e, x in truths if not e.low <= x <= e.high]
    assert len(missed) <= 1, missed


@pytest.mark.parametrize("is_wide", [False, True], ids=["tall", "wide"])
def test_a_small_networks_density_is_exact(is_wide: bool) -> None:
    found, logs = compared(10, is_wide=is_wide, seed=0)
    assert found.spread.method == "dense"
    assert found.mean.value == pytest.approx(logs.mean().item(), abs=2e-3)
    assert found.spread.value == pytest.approx(logs.std(correction=0).item(), abs=2e-3)


def compared(width: int, *, is_wide: bool, seed: int) -> tuple[Density, torch.Tensor]:
    """The density, and the exact logarithms as far as they can be told from zero."""
    torch.manual_seed(0)
    first, last = (2 * width, width) if is_wide else (width, 2 * width)
    model, x = nn.Sequential(nn.Linear(first, 90), nn.Tanh(), nn.Linear(90, last)), random(6, first)
    found = seen(model, "network", x=x, seed=seed).profile.density
    assert found is not None
    return found, dense_spectrum(model, x[:2]).values.clamp_min(found.edges[0]).log()


def test_a_budget_may_be_larger() -> None:
    config = Config(density_probes=2, density_steps=10)
    report = gradscope.analyze(
        network(), random(8, 24), prescribe=False, trial_steps=False, config=config, density=["0"]
    )
    assert report.layers[1].density is not None
    assert report.layers[1].density.spread.n == 2


def test_nothing_else_changes() -> None:
    plain, more = seen(network()), seen(network(), "*")
    for a, b in zip(plain.layers, more.layers, strict=True):
        assert a.density is None
        assert (a.spectral_norm, a.rms_gain, a.activation) == (b.spectral_norm, b.rms_gain, b.activation)
    assert {k: v for k, v in plain.network.items() if not math.isnan(v.value)} == {
        k: v for k, v in more.network.items() if not math.isnan(v.value)
    }


def test_every_call_of_a_shared_layer_is_measured() -> None:
    shared = nn.Tanh()
    report = seen(nn.Sequential(nn.Linear(24, 24), shared, nn.Linear(24, 24), shared), "1")
    assert [x.node.call for x in report.layers if x.density] == [0, 1]


class Looked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(24, 24), nn.Linear(24, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table(x.long().clamp(0, 23)).mean(1))


def test_a_layer_without_a_density_says_why() -> None:
    (found,) = (x.density for x in seen(Looked(), "table").layers if x.density)
    assert "nothing differentiable" in found.spread.method


@pytest.mark.parametrize(
    ("pattern", "meant"), [("features", "features.*"), ("features.9", "features.0"), ("nothing.like.it", "features.0")]
)
def test_a_pattern_that_fits_nothing_is_told_what_there_is(pattern: str, meant: str) -> None:
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(nn.Linear(24, 24), nn.ReLU()))
    with pytest.raises(GradscopeError, match=r"No layer is called .* or network\.") as caught:
        seen(model, pattern)
    assert meant in str(caught.value)


def test_theory_measures_no_density() -> None:
    with pytest.raises(GradscopeError, match="leave one of them out"):
        foresee(network(), Options(Config(), density=("0",)), random(2, 24))


def test_the_masks_are_those_of_the_measured_run() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.LayerNorm(24))
    options = {"prescribe": False, "trial_steps": False, "training": True}
    norm = gradscope.analyze(model, random(3, 24), density=["1"], **options).profile.by_name["1"]
    assert norm.density is not None
    assert norm.spectral_norm is not None
    assert norm.density.edges[-1] == pytest.approx(norm.spectral_norm.value, rel=1e-4)
