"""The threshold rarely acts on good batches and makes a broken one harmless."""

from __future__ import annotations

from torch import nn

from gradscope.prescribe import clip as module
from gradscope.prescribe._training import MOMENTUM
from gradscope.prescribe.clip import clip
from tests.prescribe.test_learning_rate import rehearsal


def test_a_broken_batch_does_little_harm_and_few_steps_are_clipped() -> None:
    found = clip(rehearsal(nn.Linear(64, 10), MOMENTUM))
    print(found)
    assert found["loss_after_a_broken_batch"] < found["loss_after_a_broken_batch_unclipped"]
    assert 0.001 <= float(found["steps_clipped"].rstrip("%")) / 100 <= 0.15
    assert f"max_norm={found['max_norm']}" in found["code"]


def test_norms_that_drift_have_no_constant_threshold() -> None:
    assert module._drift([1.0, 1.1, 0.9, 1.0, 1.2, 1.0]) < module.DRIFT
    assert module._drift([8.0, 7.0, 3.0, 2.0, 1.0, 1.0]) > module.DRIFT
    assert module._drift([1.0, 1.0, 0.0]) == float("inf")
