"""What a model returned is understood by its structure, its names and the operation that made it."""

from __future__ import annotations

import collections
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradscope.load.output import head, main_tensor, named_tensors
from gradscope.schema import GradscopeError

X = torch.randn(5, 6, requires_grad=True)


@dataclasses.dataclass
class Record:
    hidden: torch.Tensor
    logits: torch.Tensor


Pair = collections.namedtuple("Pair", ["first", "second"])


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (X, [""]),
        ((X, None, X), ["[0]", "[2]"]),
        ({"out": X, "aux": [X]}, ["['out']", "['aux'][0]"]),
        (Record(X, X), [".hidden", ".logits"]),
        (Pair(X, X), [".first", ".second"]),
        ("text", []),
    ],
)
def test_every_tensor_has_the_name_that_reaches_it(output, names):
    found = list(named_tensors(output))
    assert [name for name, _ in found] == names
    for name, tensor in found:
        assert eval(f"output{name}") is tensor


def test_logits_come_before_the_first_tensor():
    logits, hidden = X * 1, X * 2
    for output in (Record(hidden, logits), {"hidden": hidden, "start_logits": logits}, {"a": hidden, "logits": logits}):
        assert main_tensor(output)[1] is logits
    assert main_tensor((hidden.detach(), logits.sum(), hidden))[1] is hidden


HEADS = {
    "linear": (nn.Linear(6, 3), "logits", 1),
    "linear without bias": (nn.Linear(6, 3, bias=False), "logits", 1),
    "linear over tokens": (nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Linear(3, 7)), "logits", 2),
    "linear, then transposed": (lambda x: nn.Linear(3, 7)(x.view(5, 2, 3)).transpose(1, 2), "logits", 1),
    "linear, then scaled": (lambda x: nn.Linear(6, 3)(x) / 0.07, "logits", 1),
    "matrix product": (lambda x: x @ torch.randn(6, 3), "logits", 1),
    "convolution": (lambda x: nn.Conv2d(1, 3, 1)(x.view(5, 1, 2, 3)), "logits", 1),
    "convolution, enlarged": (
        lambda x: F.interpolate(nn.Conv2d(1, 3, 1)(x.view(5, 1, 2, 3)), scale_factor=2, mode="bilinear"),
        "logits",
        1,
    ),
    "convolution, averaged": (lambda x: nn.Conv2d(1, 3, 1)(x.view(5, 1, 2, 3)).mean((2, 3)), "logits", 1),
    "softmax": (lambda x: nn.Linear(6, 3)(x).softmax(-1), "probabilities", 1),
    "softmax over channels": (lambda x: nn.Conv2d(1, 3, 1)(x.view(5, 1, 2, 3)).softmax(1), "probabilities", 1),
    "log-softmax": (lambda x: nn.Linear(6, 3)(x).log_softmax(-1), "log-probabilities", 1),
    "activated": (nn.Sequential(nn.Linear(6, 3), nn.Tanh()), "features", None),
    "sum of two": (lambda x: nn.Linear(6, 3)(x) + nn.Linear(6, 3)(x), "features", None),
    "one column": (nn.Linear(6, 1), "features", None),
    "like the input": (nn.Linear(6, 6), "features", None),
    "one number": (lambda x: x.pow(2).mean(), "loss", None),
    "vector": (lambda x: x.sum(1), "features", None),
    "complex": (lambda x: torch.fft.fft(nn.Linear(6, 3)(x)), "features", None),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_meaning_of_an_output(name):
    model, meaning, dimension = HEADS[name]
    found = head(model(X), (X,))
    assert (found.meaning, found.class_dimension) == (meaning, dimension)


def test_a_loss_that_the_model_returns_is_its_own():
    output = {"logits": nn.Linear(6, 3)(X), "loss": X.mean()}
    assert head(output, ()).meaning == "loss"
    assert head(output, ()).name == "['loss']"


def test_the_losses_of_a_detector_are_summed():
    output = {"loss_box": X.mean(), "loss_class": X.pow(2).mean()}
    found = head(output, ())
    assert found.meaning == "loss"
    torch.testing.assert_close(found.tensor, X.mean() + X.pow(2).mean())


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (None, "returned None, and no tensor"),
        (X.argmax(1), "only int64"),
        (X.detach(), "detached"),
        (X[:0], "empty tensor"),
    ],
)
def test_what_cannot_be_trained_is_refused(output, says):
    with pytest.raises(GradscopeError, match=says):
        main_tensor(output)
