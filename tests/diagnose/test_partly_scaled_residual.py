"""A scaling with depth that missed a half of the branches."""

import math
from collections.abc import Callable

import pytest
from torch import nn

from tests.diagnose.planted import TOKENS, Stack, conformance


def stack(is_scaled: Callable[[str], bool]) -> nn.Module:
    model = Stack(6)
    for name, parameter in model.named_parameters():
        if name.endswith((".mix.weight", ".fc.weight", "proj.weight")):
            nn.init.normal_(parameter, std=0.05 / math.sqrt(12) if is_scaled(name) else 0.05)
    return model


def test_one_kind_of_branch_was_missed() -> None:
    finding = conformance(lambda: stack(lambda name: "mix_proj" in name), TOKENS)["GS614"]

    assert finding.layers == tuple(f"layers.{i}.c_proj.weight" for i in range(6))


@pytest.mark.parametrize("is_scaled", [lambda name: "proj" in name, lambda name: False])
def test_all_or_none_is_a_choice(is_scaled: Callable[[str], bool]) -> None:
    assert conformance(lambda: stack(is_scaled), TOKENS) == {}
