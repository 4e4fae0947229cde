"""Embeddings against many draws."""

import torch
from torch import nn

from tests.predict.checks import agree


def test_a_table_of_normal_rows() -> None:
    agree(lambda: nn.Sequential(nn.Embedding(50, 64), nn.Linear(64, 32)), torch.arange(40).reshape(4, 10))


def test_a_small_initializer() -> None:
    def build() -> nn.Module:
        table = nn.Embedding(50, 64)
        nn.init.normal_(table.weight, std=0.02)
        return nn.Sequential(table, nn.LayerNorm(64))

    agree(build, torch.arange(40).reshape(4, 10))
