"""After `borrowed`, also after an exception, everything is bit for bit as it was."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope import capture
from gradscope.borrow import borrowed, seeded
from tests.borrow import snapshot
from tests.capture.checks import captured, projected, subject_of
from tests.capture.models import CASES, Model, X, linear


class Cache:
    """An object that hangs on a module."""

    def __init__(self) -> None:
        self.seen = [torch.zeros(2)]
        self.count = 0


class Subject(nn.Module):
    """Has one of everything that a forward pass may change."""

    def __init__(self, act: Callable[[Subject, Tensor], Any] = lambda self, x: None) -> None:
        super().__init__()
        self.act = act
        self.layer, self.frozen, self.norm = linear(), linear().requires_grad_(False), nn.BatchNorm1d(6)
        self.dropout = nn.Dropout(0.5).eval()
        self.layer.weight.grad = torch.ones(6, 6)
        self.register_buffer("state", torch.zeros(3))
        self.alias = self.state
        self.table = torch.arange(4.0)
        self.history: list[Any] = []
        self.options = {"a": {1}}
        self.cache = Cache()
        self.generator = torch.Generator().manual_seed(5)
        self.numpy_generator = np.random.default_rng(5)
        self.array = np.zeros(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(self.norm(self.frozen(self.layer(x))))
        self.act(self, x)
        return y


def no_grad(change: Callable[[Subject], Any]) -> Callable[[Subject, Tensor], Any]:
    def act(self: Subject, x: Tensor) -> None:
        with torch.no_grad():
            change(self)

    return act


def replaced_layer(self: Subject, x: Tensor) -> None:
    self.layer = nn.Linear(6, 6)
    self.register_module("extra", nn.Linear(2, 2))
    del self.table


def hooks(self: Subject, x: Tensor) -> None:
    self.layer.register_forward_hook(lambda *_: None)
    self.norm.register_full_backward_hook(lambda *_: None)
    self.layer.weight.register_hook(lambda g: g)


def python_state(self: Subject, x: Tensor) -> None:
    self.history.append(x)
    self.options["a"].add(2)
    self.options["b"] = 1
    self.cache.count += 1
    self.cache.seen.append(x)
    self.array += 1
    self.new = 3
    self.layer.weight.tag = "seen"  # pyright: ignore[reportAttributeAccessIssue]


def modes(self: Subject, x: Tensor) -> None:
    self.train(False)
    self.layer.requires_grad_(False)
    self.frozen.requires_grad_(True)


def generators(self: Subject, x: Tensor) -> None:
    torch.rand(1, generator=self.generator)
    self.numpy_generator.random()
    random.random()
    np.random.rand()
    torch.seed()


def process(self: Subject, x: Tensor) -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(2 if torch.get_num_threads() == 1 else 1)
    torch.set_grad_enabled(False)
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)
    torch.set_float32_matmul_precision("medium")
    torch.autograd.set_detect_anomaly(True)
    warnings.simplefilter("ignore")
    os.environ["GRADSCOPE_TEST"] = "1"
    sys.path.insert(0, "/nowhere")
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


CHANGES: dict[str, Callable[[Subject, Tensor], Any]] = {
    "nothing": lambda self, x: None,
    "replaced-layer": replaced_layer,
    "hooks": hooks,
    "python-state": python_state,
    "modes": modes,
    "generators": generators,
    "process": process,
    "parameter-in-place": no_grad(lambda self: self.layer.weight.mul_(2)),
    "parameter-through-data": lambda self, x: self.layer.weight.data.clamp_(0, 0.1),
    "parameter-through-a-view": no_grad(lambda self: self.layer.weight[0].zero_()),
    "parameter-data-set": lambda self, x: setattr(self.layer.weight, "data", torch.ones(2, 2)),
    "parameter-initialized": no_grad(lambda self: nn.init.ones_(self.layer.weight)),
    "parameter-by-out": no_grad(lambda self: torch.mul(self.layer.weight, 2, out=self.layer.weight)),
    "parameter-by-foreach": no_grad(lambda self: torch._foreach_mul_([self.layer.weight, self.layer.bias], 2)),
    "embedding-renormalized": no_grad(lambda self: F.embedding(torch.tensor([0]), self.layer.weight, max_norm=0.01)),
    "parameter-gradient": lambda self, x: setattr(self.layer.weight, "grad", torch.zeros(6, 6)),
    "buffer": lambda self, x: self.state.add_(1),
    "buffer-replaced": lambda self, x: setattr(self, "state", self.state + 1),
    "buffer-alias": lambda self, x: self.alias.add_(1),
    "buffer-resized": lambda self, x: self.state.resize_(9).fill_(1),
    "buffer-out-of-sight": lambda self, x: self.state.numpy().fill(7),
    "parameter-by-numpy": lambda self, x: self.layer.weight.detach().numpy().fill(7),
    "parameter-by-array": lambda self, x: np.asarray(self.layer.weight.data).fill(7),
    "parameter-by-dlpack": lambda self, x: np.from_dlpack(self.layer.bias.detach()).shape,
    "tensor-attribute": lambda self, x: self.table.add_(1),
    "tensor-attribute-by-index": lambda self, x: self.table.__setitem__(0, 9.0),
    "nested-tensor": lambda self, x: self.cache.seen[0].add_(1),
    "statistics-attribute": lambda self, x: F.batch_norm(x[:, :4], self.table, self.table + 1, training=True),
}


def everything(model: nn.Module) -> dict[str, Any]:
    return {**snapshot.of_model(model), **snapshot.of_process()}


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert [key for key in before if after.get(key) != before[key]] == []
    assert after.keys() == before.keys()


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", CHANGES)
def test_everything_is_as_it_was(name: str, training: bool) -> None:
    model = Subject(CHANGES[name])
    before = everything(model)
    with borrowed(model, training=training, seed=3):
        model(X)
    assert_same(before, everything(model))


@pytest.mark.parametrize("name", CHANGES)
def test_everything_is_as_it_was_after_capture_and_backward(name: str) -> None:
    model = Subject(CHANGES[name])
    before = everything(model)
    with borrowed(model, training=True, seed=3):
        _, run = capture.graph(subject_of(model, X))
        if name != "process" and not name.startswith(("parameter", "embedding")):  # autograd objects to those
            projected(run.output).backward()
    assert_same(before, everything(model))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", CHANGES)
def test_everything_is_as_it_was_after_an_exception(name: str, error: type[BaseException]) -> None:
    def act(self: Subject, x: Tensor) -> None:
        CHANGES[name](self, x)
        raise error

    model = Subject(act)
    before = everything(model)
    with pytest.raises(error), borrowed(model, training=True, seed=3):
        capture.graph(subject_of(model, X))
    assert_same(before, everything(model))


@pytest.mark.parametrize("name", CASES)
def test_models_of_all_kinds_are_as_they_were(name: str) -> None:
    model = CASES[name].build()
    before = everything(model)
    with captured(model, *CASES[name].args) as c:
        projected(c.run.output).backward()
    assert_same(before, everything(model))


def test_the_snapshot_sees_every_change() -> None:
    for name, act in CHANGES.items():
        model = Subject(act)
        before = everything(model)
        with seeded(0), borrowed(nn.Identity(), training=True, seed=0):
            model(X)
            after = everything(model)
        assert before != after, name


@pytest.mark.parametrize(
    "name", ["parameter-in-place", "parameter-through-a-view", "parameter-by-numpy", "tensor-attribute"]
)
def test_what_the_model_changed_in_itself_is_named(name: str) -> None:
    model = Subject(CHANGES[name])
    with borrowed(model, training=True, seed=0) as changed:
        model(X)
    (report,) = changed
    assert report.startswith("Subject.table" if "attribute" in name else "layer.weight")
    assert report.endswith("it has been put back")


def test_a_change_that_torch_does_not_see_is_reported_where_its_version_tells() -> None:
    def act(self: Subject, x: Tensor) -> None:
        with torch.no_grad(), torch._C.DisableTorchFunction():
            self.layer.weight.add_(1)

    model = Subject(act)
    with borrowed(model, training=True, seed=0) as changed:
        model(X)
    assert [r for r in changed if r.startswith("layer.weight") and r.endswith("it stays changed")] == changed
    assert len(changed) == 1


def test_batch_statistics_are_no_news() -> None:
    model = Subject()
    with borrowed(model, training=True, seed=0) as changed:
        model(X)
    assert changed == []


def test_an_alias_of_a_buffer_stays_its_alias_inside() -> None:
    def act(self: Subject, x: Tensor) -> None:
        self.alias.add_(1)
        assert torch.equal(self.state, torch.ones(3))

    model = Subject(act)
    with borrowed(model, training=True, seed=0):
        model(X)
    assert torch.equal(model.state, torch.zeros(3))


def test_gradients_inside_start_at_none_and_do_not_accumulate() -> None:
    model = Subject()
    kept = model.layer.weight.grad
    with borrowed(model, training=True, seed=0):
        assert model.layer.weight.grad is None
        model(X).sum().backward()
        assert model.layer.weight.grad is not None
    assert model.layer.weight.grad is kept
    assert torch.equal(kept, torch.ones(6, 6))


def test_the_mode_is_the_one_asked_for_and_the_seed_decides_the_draws() -> None:
    model = Model(lambda self, x: self.d(x), d=nn.Dropout(0.5))
    draws = []
    for seed in (0, 0, 1):
        with borrowed(model, training=True, seed=seed):
            draws.append((model(X), random.random(), np.random.rand()))
    assert all(torch.equal(draws[0][0], d[0]) == (i < 2) for i, d in enumerate(draws))
    assert [d[1:] == draws[0][1:] for d in draws] == [True, True, False]
    with borrowed(model, training=False, seed=0):
        assert torch.equal(model(X), X)


def test_borrowing_works_inside_inference_mode_and_no_grad() -> None:
    model = Subject()
    with torch.no_grad(), borrowed(model, training=True, seed=0):
        assert model(X).requires_grad
    with torch.inference_mode(), borrowed(model, training=True, seed=0):
        assert model(X.clone()).requires_grad


def test_a_compiled_model_runs_eagerly() -> None:
    traced = []

    def backend(module: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        traced.append(module)
        return module.forward

    model = torch.compile(nn.Sequential(linear(), nn.ReLU()), backend=backend)
    with borrowed(model, training=True, seed=0):  # pyright: ignore[reportArgumentType]
        model(X)
    assert traced == []
    model(X)
    assert len(traced) == 1
