"""Each rule reads a real message of PyTorch or a library and answers with inputs that do what it asks."""

from __future__ import annotations

import pytest
from torch import nn

from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.repair import repairs
from gradscope.load.inputs.spec import Candidate, TensorSpec


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.table = nn.Conv2d(3, 4, 3), nn.Embedding(50, 4)
        self.image_token_id, self.vocab_size = 7, 50

    def forward(self, input_ids=None, pixel_values=None, attention_mask=None, labels=None):
        return self.body(pixel_values)


IMAGE, IDS, VECTOR = TensorSpec((3, 32, 32)), TensorSpec((64,), "ids", 50), TensorSpec((16,))

CASES = {
    "asked argument": (
        "You have to specify pixel_values",
        {"input_ids": IDS},
        {"input_ids": (64,), "pixel_values": (3, 64, 64)},
    ),
    "placeholders": (
        "Image features and image tokens do not match, tokens: 0, features: 196",
        {"input_ids": IDS, "pixel_values": TensorSpec((3, 224, 224))},
        {"input_ids": (113,), "pixel_values": (3, 224, 224)},
    ),
    "integers": (
        "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got Float",
        {"x": VECTOR},
        {"x": (64,)},
    ),
    "channels": (
        "expected input[8, 3, 32, 32] to have 1 channels, but got 3 channels instead",
        {"x": IMAGE},
        {"x": (1, 32, 32)},
    ),
    "frames": (
        "expected input[1, 24, 32, 32] to have 3 channels, but got 24 channels instead",
        {"x": IMAGE},
        {"x": (4, 3, 32, 32)},
    ),
    "one more dimension": (
        "not enough values to unpack (expected 5, got 4)",
        {"input_ids": IDS, "x": IMAGE},
        {"input_ids": (64,), "x": (1, 3, 32, 32)},
    ),
    "one dimension less": ("too many values to unpack (expected 3)", {"x": IMAGE}, {"x": (32, 32)}),
    "flattened image": (
        "mat1 and mat2 shapes cannot be multiplied (8x400 and 3136x10)",
        {"x": TensorSpec((4, 30, 30))},
        {"x": (4, 84, 84)},
    ),
    "flattened image, without data": (
        "a and b must have same reduction dim, but got [8, 400] X [3136, 10].",
        {"x": TensorSpec((4, 30, 30))},
        {"x": (4, 84, 84)},
    ),
    "joined vectors": (
        "mat1 and mat2 shapes cannot be multiplied (8x20 and 23x1)",
        {"x": VECTOR, "y": TensorSpec((4,))},
        {"x": (19,), "y": (4,)},
    ),
    "exchanged size": (
        "input2 size does not match weight size: got 16 but expected 4",
        {"x": VECTOR, "y": TensorSpec((16,))},
        {"x": (16,), "y": (4,)},
    ),
    "said size": ("Input height (32) doesn't match model (240).", {"x": IMAGE}, {"x": (3, 240, 240)}),
    "said length": (
        "Cannot forward sequence of length 64, block size is only 24",
        {"idx": IDS},
        {"idx": (24,)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_answer_does_what_the_message_asks(name):
    message, inputs, shapes = CASES[name]
    answers = list(repairs(RuntimeError(message), Candidate("", inputs), Facts(Vision())))
    assert {key: spec.shape for key, spec in answers[0].inputs.items()} == shapes


def test_placeholders_hold_the_id_of_the_image():
    message, inputs, _ = CASES["placeholders"]
    answer = next(repairs(ValueError(message), Candidate("", inputs), Facts(Vision())))
    assert answer.inputs["input_ids"].placeholder == (7, 49)


def test_a_message_that_asks_for_nothing_gets_no_answer():
    for message in (
        "no",
        "The size of tensor a (32) must match the size of tensor b (64) at non-singleton dimension 3",
    ):
        assert list(repairs(RuntimeError(message), Candidate("", {"x": IMAGE}), Facts(Vision()))) == []
