"""The whole stage on real sick models: something is accepted after which they train. Healthy twins get nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import gradscope
from gradscope.config import Config
from gradscope.prescribe import prescriptions
from tests.prescribe.cases import case, finding
from tests.prescribe.sick import HEALTHY, SICK, batches, tower

CONFIG = replace(Config(), trial_steps=24)


@pytest.mark.parametrize("name", SICK)
def test_a_sick_model_trains_after_an_accepted_remedy(name: str) -> None:
    make, shape = SICK[name]
    data = batches(shape, size=32)
    inputs, targets = next(data(99))
    report = gradscope.analyze(make, inputs, targets=targets, batches=data, config=CONFIG)
    best = report.verifications[0]
    for verification in report.verifications:
        print(verification.accepted, verification.remedy, verification.note)
        if verification.trial is not None:
            print("   ", verification.untouched.final_loss, "->", verification.trial.final_loss)
    assert best.accepted, report.findings
    assert best.trial.final_loss.value < 0.9 * best.trial.initial_loss.value
    assert best.trial.final_loss.value < 2.303 * 0.9


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_model_gets_no_prescription(name: str) -> None:
    make, shape = HEALTHY[name]
    inputs, targets = next(batches(shape, size=32)(99))
    report = gradscope.analyze(make, inputs, targets=targets, config=CONFIG)
    assert [(v.accepted, v.remedy, v.note) for v in report.verifications] == [], report.findings


def test_information_alone_asks_for_nothing() -> None:
    one = case(tower(3, nn.ReLU), torch.randn(4, 64))
    assert prescriptions([finding("GS201", "info")], one.subject, one.graph, one.profile, Config()) == ()


def test_a_prescription_says_what_it_resolves_and_where() -> None:
    one = case(tower(3, nn.ReLU), torch.randn(4, 64))
    found = prescriptions(
        [finding("GS201"), finding("GS103", "warning"), finding("GS203")], one.subject, one.graph, one.profile, Config()
    )
    he = next(p for p in found if p.remedy == "he-initialization")
    assert he.resolves == ("GS103", "GS201")
    assert he.layers == ("0", "2", "4", "6")
    assert he.applicability == "safe"


def test_no_remedy_claims_a_finding_that_it_cannot_cure() -> None:
    one = case(tower(3, nn.ReLU), torch.randn(4, 64))
    assert prescriptions([finding("GS203"), finding("GS901")], one.subject, one.graph, one.profile, Config()) == ()
