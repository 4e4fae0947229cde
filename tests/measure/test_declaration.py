"""What a model's own code declares, found without touching the model."""

import math
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gradscope.measure._declaration import declarations
from gradscope.measure._named import named_deviations
from gradscope.measure._twin import twin_of


class Drawn(nn.Module):
    """Children drawn with 0.5 by the model, 0.25 by a child with an initializer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()  # which no deep copy survives
        self.first, self.inner = nn.Linear(64, 64), Inner()
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5)
            nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.first(x))


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Linear(64, 64)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.25)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(x)


def test_every_module_gets_the_initializer_of_the_nearest_around_it() -> None:
    model = Drawn()
    declared = declarations(model, dict.fromkeys(dict(model.named_parameters()), 0.1), 0)

    def std(name: str) -> float:
        estimate = declared[name].by_initializer
        assert estimate is not None
        return estimate.value

    assert std("first.weight") == pytest.approx(0.5, rel=0.05)
    assert std("inner.second.weight") == pytest.approx(0.25, rel=0.05)
    assert std("first.bias") == 0
    assert "inner.second.bias" not in declared  # nothing writes it
    default = declared["first.weight"].by_default
    assert default is not None
    assert default.value == pytest.approx(1 / math.sqrt(3 * 64), rel=0.05)


def test_the_model_and_the_random_state_are_left_alone() -> None:
    model = Drawn()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    versions = {name: p._version for name, p in model.named_parameters()}
    state = torch.get_rng_state()
    declarations(model, dict.fromkeys(before, 0.1), 0)

    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert versions == {name: p._version for name, p in model.named_parameters()}


def test_an_initializer_that_cannot_be_run_again_declares_nothing() -> None:
    class Once(Drawn):
        def _init_weights(self, module: nn.Module) -> None:
            if hasattr(self, "is_done"):
                raise RuntimeError("once only")
            super()._init_weights(module)

    model = Once()
    model.is_done = True

    assert declarations(model, {}, 0) == {}
    assert declarations(nn.Linear(3, 3), {}, 0) == {}


def test_a_twin_shares_what_the_model_shares() -> None:
    model = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    model["b"].weight = model["a"].weight
    twin = twin_of(model)

    assert twin["b"].weight is twin["a"].weight  # pyright: ignore[reportIndexIssue]
    assert all(p.isnan().all() for p in twin.parameters())
    assert not any(p.isnan().any() for p in model.parameters())


class Config:
    def __init__(self, std: float, n_layer: int) -> None:
        self.std, self.n_layer = std, n_layer


class Named(nn.Module):
    """Two projections; `draw` holds what follows, each in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(0.2, 8)
        self.block = nn.ModuleDict({"c_proj": nn.Linear(4, 4), "other": nn.Linear(4, 4)})


class EqualNames(Named):
    def _init_weights(self, module: nn.Module) -> None:
        for name, p in module.named_parameters():
            if name == "c_proj.weight":
                nn.init.normal_(p, mean=0.0, std=self.config.std / math.sqrt(2 * self.config.n_layer))


class Suffixes(Named):
    def init_weights(self) -> None:
        scale = 1 / math.sqrt(2 * self.config.n_layer)
        std = self.config.std * scale
        for name, p in self.named_parameters():
            if name.endswith(("c_proj.weight", "down.weight")):
                p.data.normal_(0.0, std)


class Parts(Named):
    def _init_weights(self, module: nn.Module) -> None:
        for name, p in module.named_parameters():
            if "c_proj" in name and "weight" in name:
                nn.init.trunc_normal_(p, 0.0, self.config.std / 4)


@pytest.mark.parametrize("build", [EqualNames, Suffixes, Parts])
def test_names_in_the_source(build: Callable[[], nn.Module]) -> None:
    found = named_deviations(build())

    assert {name: e.value for name, e in found.items()} == pytest.approx({"block.c_proj.weight": 0.05})
    assert "test_declaration.py:" in found["block.c_proj.weight"].method


class Unreadable(Named):
    def init_weights(self, std: float = 0.1) -> None:
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, std=std)  # known to the caller only


class Contradiction(EqualNames):
    def _reset_parameters(self) -> None:
        for name, p in self.named_parameters():
            if name == "c_proj.weight":
                nn.init.normal_(p, std=0.3)


class OtherCondition(Named):
    def _init_weights(self, module: nn.Module) -> None:
        for _, p in module.named_parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.3)


@pytest.mark.parametrize("build", [Unreadable, Contradiction, OtherCondition])
def test_what_the_source_does_not_say_is_not_guessed(build: Callable[[], nn.Module]) -> None:
    assert named_deviations(build()) == {}
