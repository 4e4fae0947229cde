"""Scales of tables that are looked up."""

import math

import torch
from torch import Tensor, nn

from tests.diagnose.planted import TOKENS, Stack, conformance


class Tied(Stack):
    """One table for looking up and for scoring."""

    def __init__(self, std: float | None) -> None:
        super().__init__()
        self.head.weight = self.embedding.weight
        if std is not None:
            nn.init.normal_(self.embedding.weight, std=std)
            nn.init.zeros_(self.embedding.weight[0].detach())


def test_a_tied_table_with_the_default_of_embeddings() -> None:
    finding = conformance(lambda: Tied(None), TOKENS)["GS610"]

    assert finding.layers == ("embedding.weight",)
    assert finding.evidence["score_rms"].value > 0.8 * math.sqrt(32)
    assert "GS610" not in conformance(lambda: Tied(0.02), TOKENS)


class Positions(Stack):
    """Adds positions to tokens; one of the two tables was left at its default."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.position = nn.Embedding(12, 32)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.zeros_(self.embedding.weight[0].detach())
        nn.init.normal_(self.position.weight, std=std)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.position(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def test_positions_that_bury_the_tokens() -> None:
    assert conformance(lambda: Positions(1.0), TOKENS)["GS610"].layers == ("position.weight",)
    assert conformance(lambda: Positions(0.02), TOKENS) == {}
