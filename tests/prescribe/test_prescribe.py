"""The whole stage on real sick models: something is accepted after which they train. Healthy twins get nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

import gradscope
from gradscope.config import Config
from gradscope.prescribe import prescriptions
from tests.prescribe.cases import finding, graph_of, profile_of
from tests.prescribe.sick import HEALTHY, SICK, batches, tower
from tests.subjects import subject

CONFIG = replace(Config(), trial_steps=24, trial_seconds=5.0)


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
    one = subject(tower(3, make_activation := __import__("torch").nn.ReLU), next(batches()(0))[0])
    graph = graph_of(one)
    assert make_activation is not None
    assert prescriptions([finding("GS201", "info")], one, graph, profile_of(graph), Config()) == ()
