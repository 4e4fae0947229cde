"""The rules of other tools on snapshots whose numbers are known."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.scorecard.peers import BASELINES, FAR, PEERS, snapshot, snapshots
from tests.subjects import classifier, random

X, Y = random(16, 64), torch.arange(16) % 10
CALM = snapshot(classifier(2, nn.ReLU), F.cross_entropy, X, Y)


def test_a_snapshot_holds_norms_of_autograd() -> None:
    model = classifier(1, nn.Tanh)
    found = snapshot(model, F.cross_entropy, X, Y)
    weights = [p for p in model.parameters() if p.ndim > 1]
    gradients = torch.autograd.grad(F.cross_entropy(model(X), Y), weights)

    assert found.gradient_norms == pytest.approx([g.norm().item() for g in gradients], rel=1e-5)
    assert found.gradient_means == pytest.approx([g.abs().mean().item() for g in gradients], rel=1e-5)
    assert found.loss == pytest.approx(F.cross_entropy(model(X), Y).item())
    assert len(found.activation_gradients) == 3


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("SageMaker Debugger, gradients", {"gradient_means": (1e-8, 1e-3)}),
        ("SageMaker Debugger, initialization", {"rectifier_variances": (1.0, 11.0)}),
        ("AUTOTRAINER", {"gradient_norms": (1e-5, 1e-1)}),
        ("AUTOTRAINER", {"gradient_norms": (71.0, 1.0)}),
        ("AUTOTRAINER", {"gradient_zeros": (0.71,)}),
        ("DeepDiagnosis", {"nonpositive": (0.71,)}),
        ("TheDeepChecker, gradients", {"gradient_means": (1e-7, 1e-3)}),
        ("TheDeepChecker, activations", {"activation_stds": (2.1,)}),
        ("TorchLens", {"activation_gradients": (1.1e4,)}),
        ("torchmortem, gradient flow", {"gradient_norms": (1e-3, 0.11)}),
        ("torchmortem, all", {"extreme": (0.51,)}),
    ],
)
def test_a_rule_fires_just_beyond_its_threshold(rule: str, change: dict[str, tuple[float, ...]]) -> None:
    assert 0 < PEERS[rule](replace(CALM, **change)) < 3  # pyright: ignore[reportArgumentType]


def test_gradient_rules_are_silent_on_a_shallow_model() -> None:
    silent = ("SageMaker Debugger, gradients", "AUTOTRAINER", "TheDeepChecker, gradients", "TorchLens")
    assert all(PEERS[name](CALM) < 0 for name in silent)


def test_what_is_not_finite_is_far_and_all_scores_are_finite() -> None:
    broken = snapshot(classifier(2, nn.ReLU), lambda y, t: F.cross_entropy(y, t) / 0, X, Y)

    assert PEERS["AUTOTRAINER"](broken) == FAR
    assert all(math.isfinite(rule(broken)) for rule in (PEERS | BASELINES).values())


def test_the_second_snapshot_is_of_the_trained_model() -> None:
    first, second = snapshots(lambda: classifier(1, nn.Tanh), F.cross_entropy, [(X, Y)] * 30)

    assert second.loss < first.loss
