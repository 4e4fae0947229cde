"""The whole pipeline on sick models and their healthy twins."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

import gradscope
from gradscope.config import Config
from gradscope.schema import GradscopeError
from tests.subjects import classifier, random


def plain(depth: int, activation: type[nn.Module], init: Callable[[torch.Tensor], object] | None = None) -> nn.Module:
    model = classifier(depth, activation, width=64)
    for module in model:
        if init is not None and isinstance(module, nn.Linear):
            init(module.weight)
            nn.init.zeros_(module.bias)
    return model


class Residual(nn.Module):
    """Twelve residual blocks of two He-initialized convolutions, with or without batch normalization."""

    def __init__(self, *, is_normalized: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if is_normalized else lambda channels: nn.Identity()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(16, 16, 3, padding=1), norm(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), norm(16)
            )
            for _ in range(12)
        )
        self.head = nn.Linear(16, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.head(x.mean((2, 3)))


def analyzed(model: nn.Module, inputs: torch.Tensor) -> gradscope.Report:
    return gradscope.analyze(model, inputs, prescribe=False, config=Config())


SICK = {
    "tanh with PyTorch's defaults": (lambda: plain(30, nn.Tanh), "vanishing", "GS201"),
    "relu with PyTorch's defaults": (lambda: plain(30, nn.ReLU), "vanishing", "GS201"),
    "sigmoid": (lambda: plain(12, nn.Sigmoid), "vanishing", "GS201"),
    "relu with too large an init": (
        lambda: plain(20, nn.ReLU, lambda w: nn.init.normal_(w, std=0.5)),
        "exploding",
        "GS202",
    ),
}
HEALTHY = {
    "shallow": lambda: plain(3, nn.ReLU),
    "relu with He's init": lambda: plain(20, nn.ReLU, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
    "orthogonal tanh": lambda: plain(30, nn.Tanh, lambda w: nn.init.orthogonal_(w, gain=1.1)),
    "normalized sigmoid": lambda: nn.Sequential(
        *(layer for _ in range(8) for layer in (nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU())), nn.Linear(64, 10)
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_a_sick_model_is_named_with_its_mechanism_and_its_layers(name: str) -> None:
    build, label, code = SICK[name]
    report = analyzed(build(), random(32, 64))

    assert report.verdict.label == label, report
    assert report.verdict.risk > 0.5
    assert report.verdict.conditions
    finding = next(f for f in report.findings if f.code == code)
    assert finding.severity == "error"
    assert set(finding.layers) <= {layer.name for layer in report.layers}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_model_is_clean(name: str) -> None:
    torch.manual_seed(0)
    report = gradscope.analyze(HEALTHY[name](), random(32, 64), config=Config())

    assert report.verdict.label == "healthy", report
    assert report.verdict.risk < 0.3
    assert report.findings == ()
    assert report.verifications == ()


def test_normalization_tells_the_twins_apart() -> None:
    torch.manual_seed(0)
    inputs = random(8, 3, 12, 12)

    assert analyzed(Residual(is_normalized=False), inputs).verdict.label == "exploding"
    assert analyzed(Residual(is_normalized=True), inputs).verdict.label == "healthy"


def test_the_model_is_bit_identical_afterwards() -> None:
    torch.manual_seed(0)
    model = Residual(is_normalized=True).train()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    state = {name: (value.clone(), value._version) for name, value in model.state_dict(keep_vars=True).items()}
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    rng = torch.get_rng_state()
    inputs = random(8, 3, 12, 12)
    before = inputs.clone()
    analyzed(model, inputs)

    for name, value in model.state_dict(keep_vars=True).items():
        assert torch.equal(value, state[name][0]) and value._version == state[name][1], name
    assert all(parameter.grad is grads[name] for name, parameter in model.named_parameters())
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(inputs, before)
    assert all(module.training and not module._forward_hooks for module in model.modules())


def test_the_same_seed_gives_the_same_report() -> None:
    first, second = (analyzed(plain(5, nn.Tanh), random(16, 64)) for _ in range(2))

    assert first.findings == second.findings
    assert first.measured == second.measured


def test_an_accepted_remedy_makes_a_sick_model_train() -> None:
    report = gradscope.analyze(lambda: plain(16, nn.Sigmoid), random(32, 64), config=Config())
    accepted = [v for v in report.verifications if v.accepted]

    assert accepted, [v.note for v in report.verifications]
    best = accepted[0]
    assert best.trial is not None and best.untouched is not None
    print(best.remedy, best.untouched.final_loss, "->", best.trial.final_loss)
    assert best.trial.final_loss.value < 0.9 * best.untouched.final_loss.value


def test_trial_steps_can_be_left_out_and_a_recipe_can_be_named() -> None:
    inputs = random(16, 64)
    none = gradscope.analyze(plain(3, nn.ReLU), inputs, prescribe=False, trial_steps=False, config=Config())
    one = gradscope.analyze(plain(3, nn.ReLU), inputs, prescribe=False, optimizer="sgd", learning_rate=0.1)

    assert none.profile.attempts == () and "one forward" in none.verdict.basis
    assert [(a.optimizer, a.learning_rate, a.asked) for a in one.profile.attempts] == [("sgd", 0.1, 40)]
    assert len(one.verdict.conditions) == 1


def test_trial_steps_are_left_out_where_they_would_tell_nothing_or_cost_too_much() -> None:
    few = gradscope.analyze(plain(3, nn.ReLU), random(4, 64), prescribe=False, config=Config())
    costly = gradscope.analyze(
        plain(3, nn.ReLU), random(16, 64), prescribe=False, config=replace(Config(), attempt_seconds=1e-9)
    )

    for report in (few, costly):
        assert report.profile.attempts == ()
        assert "trial steps" in {gap.layer for gap in report.gaps}


def test_the_verdict_costs_at_most_three_passes_beyond_measurement_and_forty_with_trial_steps() -> None:
    class Counted(nn.Module):
        runs = 0

        def __init__(self) -> None:
            super().__init__()
            self.body = plain(3, nn.ReLU)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Counted.runs += 1
            return self.body(x)

    counts = []
    for is_tried in (False, True):
        Counted.runs = 0
        gradscope.analyze(Counted(), random(16, 64), prescribe=False, trial_steps=is_tried, config=Config())
        counts.append(Counted.runs)
    print(counts)
    assert counts[1] - counts[0] <= 40


@pytest.mark.parametrize("is_static", [False, True])
def test_an_unknown_code_is_refused_before_any_work(is_static: bool) -> None:
    def build() -> nn.Module:
        raise AssertionError("it was built")

    with pytest.raises(GradscopeError, match="GS999"):
        gradscope.analyze(build, random(4, 64), ignore=["GS999"], static=is_static)


def test_a_healthy_model_gets_its_settings_from_the_users_batches() -> None:
    model = classifier(2, nn.ReLU, width=32)
    inputs = random(256, model[0].in_features)
    targets = (inputs[:, 0] > 0).long()

    def batches(seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            rows = torch.randint(len(inputs), (32,), generator=generator)
            yield inputs[rows], targets[rows]

    report = gradscope.analyze(model, inputs[:32], targets=targets[:32], batches=batches, config=Config())

    assert report.verdict.label == "healthy"
    rate = report.recipe["learning_rate"]
    assert 0 < rate["value"] <= rate["largest_stable"]
