"""Random architectures: state bit for bit as before, gradients those of autograd, replay that of the run."""

from __future__ import annotations

import warnings

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.borrow import snapshot
from tests.borrow.architectures import WIDTH, models
from tests.capture.checks import captured, gradient_differences, missing_parameters, replay_differences


def assert_nothing_is_left_and_all_is_seen(model: nn.Module, training: bool) -> None:
    """The claim, for one model."""
    x = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(0))
    model.train(not training)
    before = {**snapshot.of_model(model), **snapshot.of_process()}
    with captured(model, x, training=training) as c:
        assert gradient_differences(c) == []
        assert missing_parameters(c) == []
    after = {**snapshot.of_model(model), **snapshot.of_process()}
    assert [key for key in before if before[key] != after.get(key)] == []
    assert before.keys() == after.keys()
    assert replay_differences(c) == []
    assert {**snapshot.of_model(model), **snapshot.of_process()} == before


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=models(), training=st.booleans())
def test_random_architectures_are_left_as_they_were_and_seen_as_they_are(model: nn.Module, training: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old spectral_norm is deprecated, and still in use
        assert_nothing_is_left_and_all_is_seen(model, training)
