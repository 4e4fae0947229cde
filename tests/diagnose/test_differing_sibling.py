"""One layer that is drawn unlike the others."""

import math

from torch import nn

from tests.diagnose.planted import TOKENS, Layer, Stack, conformance


def stack(*, odd: float | None, schedule: bool = False) -> nn.Module:
    model = Stack(6)
    for i, layer in enumerate(model.layers):
        nn.init.normal_(layer.fc.weight, std=0.05 / math.sqrt(i + 1) if schedule else 0.05)
    if odd is not None:
        nn.init.normal_(model.layers[4].fc.weight, std=odd)
    return model


def test_a_layer_that_the_loop_missed() -> None:
    finding = conformance(lambda: stack(odd=0.12), TOKENS)["GS603"]

    assert finding.layers == ("layers.4.fc.weight",)
    assert "5 of its 5 siblings" in finding.message


def test_a_layer_that_was_replaced_later() -> None:
    def replaced() -> nn.Module:
        model = Stack(6)
        model.layers[2] = Layer(32)
        for i, layer in enumerate(model.layers):
            nn.init.zeros_(layer.fc.bias) if i != 2 else None
        return model

    assert conformance(replaced, TOKENS)["GS603"].layers == ("layers.2.fc.bias",)


def test_siblings_that_agree_and_schedules_are_silent() -> None:
    assert "GS603" not in conformance(lambda: stack(odd=None), TOKENS)
    assert "GS603" not in conformance(lambda: stack(odd=None, schedule=True), TOKENS)
