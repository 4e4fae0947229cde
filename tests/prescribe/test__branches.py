"""The last weight of a residual branch is found, whatever the skip path looks like."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gradscope.prescribe._branches import branches
from tests.prescribe.cases import graph_of
from tests.subjects import subject


class Block(nn.Module):
    def __init__(self, branch: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.skip = branch, skip or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.skip(x))


def lasts(model: nn.Module, x: Tensor) -> list[str]:
    return [branch.last for branch in branches(graph_of(subject(model, x)), model)]


def pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Dropout(0.1))


def test_each_block_ends_with_its_last_weight() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Block(pair()), Block(pair()))
    assert lasts(model, torch.randn(4, 8)) == ["1.branch.2", "2.branch.2"]


def test_a_projected_skip_is_not_taken_for_the_branch() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Block(pair(), nn.Linear(8, 8)))
    assert lasts(model, torch.randn(4, 8)) == ["1.branch.2"]


def test_a_norm_at_the_end_scales_the_branch() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Block(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))))
    assert lasts(model, torch.randn(4, 8)) == ["1.branch.1"]


def test_a_sum_of_equals_is_no_residual_branch() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Block(nn.Linear(8, 8), nn.Linear(8, 8)))
    assert lasts(model, torch.randn(4, 8)) == []


def test_a_plain_network_has_none() -> None:
    assert lasts(pair(), torch.randn(4, 8)) == []


def test_a_transformer_layer_has_two() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert lasts(model, torch.randn(2, 3, 8))[-1] == "linear2"
