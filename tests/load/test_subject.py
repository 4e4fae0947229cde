"""A target becomes a subject that runs: every form of target, inputs and loss."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gradscope.load import subject
from gradscope.schema import GradscopeError, Subject

FILE = """
import torch
from torch import nn
class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.linear = nn.Linear(width, width)
    def forward(self, x):
        return self.linear(x).relu()
class Net(nn.Module):
    def __init__(self, depth=2, classes=3):
        super().__init__()
        self.blocks = nn.Sequential(*[Block() for _ in range(depth)])
        self.head = nn.Linear(8, classes)
    def forward(self, x):
        return self.head(self.blocks(x))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    (tmp_path / "model.py").write_text(FILE)
    return tmp_path


def state(model: nn.Module) -> list[bytes]:
    return [t.detach().numpy().tobytes() for t in model.state_dict().values()]


def runs(found: Subject) -> None:
    output = found.model(*found.args, **found.kwargs)
    found.loss(output, found.targets).backward()


@pytest.mark.parametrize(
    ("extra", "target", "name"),
    [
        ("", "model.py", "model.py:Net"),
        ("", "model.py:Net(depth=3)", "model.py:Net(depth=3)"),
        ("", "model.py:Block", "model.py:Block"),
        ("", "model:Net(1, classes=4)", "model:Net(1, classes=4)"),
        ("def make_model(): return Net(1)", "model.py", "model.py:make_model"),
        ("def build(): return Net(1)", "model.py", "model.py:build"),
        ("model = Net(1)", "model.py", "model.py:model"),
        ("teacher, model = Net(2), Net(1)", "model.py", "model.py:model"),
    ],
)
def test_every_form_of_file_target(extra: str, target: str, name: str, folder: Path) -> None:
    (folder / "model.py").write_text(FILE + extra)
    found = subject(target)
    assert found.info.target == name
    assert found.args[0].shape == (8, 8)
    assert found.rebuild is not None
    again = found.rebuild()
    assert again is not found.model
    assert state(again) == state(found.model)
    runs(found)


def test_the_same_seed_gives_the_same_model_inputs_and_labels(folder: Path) -> None:
    first, same, other = subject("model.py"), subject("model.py"), subject("model.py", seed=1)
    assert state(first.model) == state(same.model) != state(other.model)
    assert torch.equal(first.args[0], same.args[0]) and not torch.equal(first.args[0], other.args[0])
    assert torch.equal(first.targets, same.targets)


def test_random_generators_are_left_alone(folder: Path) -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    subject("model.py")
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def test_a_live_module_is_borrowed() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).eval()
    before = state(model)
    found = subject(model, torch.randn(5, 4))
    assert found.model is model
    assert state(model) == before
    assert not model.training and all(p.grad is None for p in model.parameters())
    assert found.rebuild is not None and state(found.rebuild()) == before


def test_a_factory_is_called_again_to_rebuild() -> None:
    found = subject(lambda: nn.Linear(4, 2), torch.randn(5, 4))
    assert found.rebuild is not None
    assert found.rebuild() is not found.model
    assert state(found.rebuild()) == state(found.model)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * scale


class TakesPair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return self.linear(pair[0] + pair[1])


def test_inputs_from_python_are_positional_keyword_or_one_argument() -> None:
    x = torch.randn(3, 4)
    assert subject(nn.Linear(4, 2), x).args == (x,)
    assert subject(nn.Linear(4, 2), (x,)).args == (x,)
    assert dict(subject(TwoInputs(), {"x": x, "scale": torch.ones(2)}).kwargs).keys() == {"x", "scale"}
    assert subject(TakesPair(), (x, x)).args == ((x, x),)


def test_shapes_from_the_command_line() -> None:
    found = subject(nn.Linear(4, 2), input_specs=["5,4"])
    assert found.args[0].shape == (5, 4) and found.args[0].dtype == torch.float32
    tokens = subject(nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7)), input_specs=["5,6"]).args[0]
    assert tokens.dtype == torch.int64 and int(tokens.max()) < 7
    named = subject(TwoInputs(), input_specs=["x=5,4:float32", "scale=2"])
    assert {k: tuple(v.shape) for k, v in named.kwargs.items()} == {"x": (5, 4), "scale": (2,)}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def example_inputs(): return torch.randn(6, 8)", "cross-entropy over 3 classes, labels drawn"),
        ("def example_inputs(): return (torch.randn(6, 8),)", "cross-entropy over 3 classes, labels drawn"),
        ("def example_inputs(): return {'x': torch.randn(6, 8)}", "cross-entropy over 3 classes, labels drawn"),
        ("def example_inputs(): return torch.randn(6, 8), torch.randn(6, 3)", "mean squared error, given targets"),
        ("def example_inputs(): return (torch.randn(6, 8),), torch.ones(6).long()", "cross-entropy over 3.*given"),
        ("def loss(output, targets): return output.pow(2).mean()", "loss, given without targets"),
    ],
)
def test_what_a_file_says_beside_its_model(body: str, words: str, folder: Path) -> None:
    (folder / "model.py").write_text(FILE + body)
    found = subject("model.py")

    assert re.match(words, found.info.loss), found.info.loss
    runs(found)


def test_batches_of_a_file_are_handed_on(folder: Path) -> None:
    (folder / "model.py").write_text(FILE + "def batches(seed): yield torch.ones(2, 8) * seed, torch.zeros(2).long()")
    found = subject("model.py")
    assert found.batches is not None
    (inputs, targets), *_ = found.batches(5)
    assert float(inputs[0, 0]) == 5.0 and targets.shape == (2,)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "defines no nn.Module"),
        ("def f(:\n", r"model.py:1: SyntaxError"),
        ("x = 1\n1/0\n", r"model.py:2: ZeroDivisionError"),
        ("import nothing_of_this_name\n", "Install nothing_of_this_name"),
        (FILE + "class Other(nn.Linear):\n    def __init__(self): super().__init__(1, 1)", "2 models.*Net and Other"),
        (FILE.replace("depth=2, classes=3", "depth, classes"), r"needs depth and classes.*depth=..., classes=..."),
        (FILE + "def make_model(): return 3", "returned a int, not a torch.nn.Module"),
        (FILE + "def make_model(): raise ValueError('no luck')", r"model.py:17: ValueError: no luck"),
    ],
)
def test_a_bad_file_gets_one_sentence(source: str, says: str, folder: Path) -> None:
    (folder / "model.py").write_text(source)
    with pytest.raises(GradscopeError, match=says) as caught:
        subject("model.py")
    assert "\n" not in str(caught.value)
