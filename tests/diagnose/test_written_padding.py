"""The padding row of an embedding."""

from torch import nn

from tests.diagnose.planted import TOKENS, Stack, conformance


def test_an_initializer_that_overwrites_the_padding_row() -> None:
    def overwritten() -> nn.Module:
        model = Stack()
        nn.init.normal_(model.embedding.weight, std=0.5)
        return model

    assert conformance(overwritten, TOKENS)["GS607"].layers == ("embedding.weight",)
    assert "GS607" not in conformance(Stack, TOKENS)
