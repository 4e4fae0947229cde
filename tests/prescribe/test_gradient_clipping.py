"""The text clips every step of whatever optimizer it is attached to, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.prescribe._copies import is_of_training, tune
from tests.prescribe.cases import case, change


@pytest.mark.parametrize(("scale", "expected"), [(100.0, 1.0), (0.01, 0.02)])
def test_a_step_is_no_longer_than_the_learning_rate(scale: float, expected: float) -> None:
    model = nn.Linear(4, 1, bias=False)
    before = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    tune(change("gradient-clipping", case(model, torch.ones(1, 4))).code, None, model, optimizer)
    (scale * model(torch.ones(1, 4))).sum().backward()
    optimizer.step()
    assert float((model.weight.detach() - before).norm()) == pytest.approx(expected, rel=1e-4)


def test_it_changes_the_training_and_not_the_model() -> None:
    assert is_of_training(change("gradient-clipping", case(nn.Linear(4, 1), torch.ones(1, 4))).code)
    assert not is_of_training("model.optimizer = 1  # optimizer")
