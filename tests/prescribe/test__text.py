"""A condition holds for exactly the layers meant, and reads as short as it can."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gradscope.prescribe._text import condition, names, program


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"up": nn.Linear(2, 2), "act": nn.ReLU(), "down": nn.Linear(2, 2)}) for _ in range(12)
        )
        self.own = nn.ModuleList(Own() for _ in range(2))
        self.head = nn.Linear(2, 2)


class Own(nn.Module):
    """A class whose name cannot be imported from torch."""


MODEL = Stack()
NAMES = [name for name, _ in MODEL.named_modules() if name]


def holds_for(text: str) -> set[str]:
    scope = {"torch": torch, "re": __import__("re")}
    return {name for name, module in MODEL.named_modules() if eval(text, scope, {"name": name, "module": module})}


@given(st.sets(st.sampled_from(NAMES), min_size=1))
@settings(max_examples=200, deadline=None)
def test_a_condition_holds_for_exactly_the_modules_meant(chosen: set[str]) -> None:
    assert holds_for(condition(MODEL, chosen)) == chosen


def test_a_class_says_it_where_it_can() -> None:
    linear = [name for name, module in MODEL.named_modules() if isinstance(module, nn.Linear)]
    assert condition(MODEL, linear) == "isinstance(module, torch.nn.Linear)"
    assert condition(MODEL, [n for n in linear if n != "head"]) == (
        'isinstance(module, torch.nn.Linear) and name != "head"'
    )


def test_a_pattern_says_it_for_a_part_of_every_block() -> None:
    ups = [name for name in NAMES if name.endswith(".up")]
    assert condition(MODEL, ups) == r're.fullmatch(r"blocks\.\d+\.up", name)'


def test_a_few_classes_and_one_layer() -> None:
    both = [name for name, module in MODEL.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    assert condition(MODEL, both) == "isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))"
    assert condition(MODEL, ["blocks.3.up"]) == 'name == "blocks.3.up"'


def test_a_program_imports_what_it_uses() -> None:
    assert program("x = torch.ones(1)") == "import torch\n\nx = torch.ones(1)"
    assert program("a = re.escape('x')", "b = torch.ones(1)").startswith("import re\nimport torch\n\n")
    assert program("model.scale = 2") == "model.scale = 2"
    assert program("retorch.x()") == "retorch.x()"


def test_long_lists_of_names_are_cut() -> None:
    assert names(["a", "b", "c"]) == "a, b, c"
    assert names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert names(["2"]) == "layer 2"
    assert names(["2", "4", "6", "8"]) == "layers 2, 4, 6 and 1 more"
