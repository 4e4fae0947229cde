"""A model on the meta device: built there, or the twin of a real one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope import predict
from tests.subjects import random


def test_nothing_of_a_plan_holds_data() -> None:
    real = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU())
    for plan in (predict.plan(lambda: nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64))), predict.twin(real)):
        assert all(t.is_meta for t in (*plan.model.parameters(), *plan.model.buffers()))


def test_a_twin_knows_the_scale_of_every_weight_and_leaves_the_model_alone() -> None:
    model = nn.Linear(64, 64)
    with torch.no_grad():
        model.weight.mul_(7)
    before = model.weight.detach().clone()
    plan = predict.twin(model)
    drawn = plan.initial.find(plan.model.weight)
    assert drawn is not None
    assert drawn.second_moment == pytest.approx(float(before.square().mean()), rel=1e-6)
    assert torch.equal(model.weight, before) and not model.weight.is_meta


def test_a_prediction_changes_no_buffer_and_no_input() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.table = nn.BatchNorm1d(8), nn.Embedding(9, 8)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.norm(self.table(ids.add_(1)))

    model, ids = Counting(), torch.zeros(16, dtype=torch.int64)
    predict.forward(predict.twin(model), (ids,))
    assert not ids.any()
    assert model.norm.num_batches_tracked == 0


def test_a_twin_of_a_trained_batch_norm_uses_its_running_statistics() -> None:
    model = nn.BatchNorm1d(64).eval()
    with torch.no_grad():
        assert model.running_var is not None
        model.running_var.fill_(4.0)
    run = predict.forward(predict.twin(model), (random(32, 64),))
    out = predict.profile(run).layers[-1].activation
    assert out is not None
    assert out.second_moment.value == pytest.approx(0.25, rel=0.1)


def test_a_prediction_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(predict.TooSlow):
        predict.forward(predict.twin(nn.Linear(8, 8)), (random(4, 8),), seconds=-1.0)
