"""Trials end when they have taken too long."""

import torch
from torch import nn

from gradscope import analyze
from gradscope.config import Config
from gradscope.prescribe._clock import Patience


def test_patience_ends():
    assert not Patience(1000).is_over
    assert Patience(-1).is_over


def test_on_a_machine_too_busy_nothing_more_is_tried_and_the_report_says_so():
    def deep_tanh():
        return nn.Sequential(*(m for _ in range(20) for m in (nn.Linear(16, 16), nn.Tanh())), nn.Linear(16, 3))

    report = analyze(deep_tanh, torch.randn(8, 16), config=Config(trial_share=0.0, trial_steps=12))
    assert report.verifications
    assert not any(v.accepted for v in report.verifications)
    assert any("not tried" in v.note and "--timeout" in v.note for v in report.verifications)
