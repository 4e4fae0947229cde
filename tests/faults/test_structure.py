"""Models built in unusual ways: all of them load, or say why not."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from gradscope.load import subject
from gradscope.schema import GradscopeError
from tests.faults.faulty import check_sentence, load, net

SOUND = {
    "shared module": ("self.c = self.a", "return self.b(self.a(x) + self.c(x))"),
    "tied weights": ("self.c = nn.Linear(4, 8); self.c.weight = self.a.weight", "return self.b(self.a(x) + self.c(x))"),
    "unused layer": ("self.unused = nn.Linear(2, 2)", ""),
    "cycle": ("object.__setattr__(self.a, 'parent', self)", ""),
    "newline in a name": ("self.add_module('new\\nline', nn.Linear(2, 2))", ""),
    "unicode in a name": ("self.add_module('größe', nn.Linear(2, 2))", ""),
    "deep": ("m = self.a\n        for _ in range(200): m = nn.Sequential(m)\n        self.a = m", ""),
    "parametrized": ("nn.utils.parametrizations.weight_norm(self.a)", ""),
    "spectral norm": ("nn.utils.parametrizations.spectral_norm(self.a)", ""),
    "old weight norm": ("nn.utils.weight_norm(self.a)", ""),
    "hooks": ("self.a.register_forward_hook(lambda m, i, o: o * 2)", ""),
    "lock": ("import threading; self.lock = threading.Lock()", "with self.lock: y = self.a(x)\nreturn self.b(y)"),
    "deepcopy raises": ("self.__deepcopy__ = None", ""),
    "forward is a lambda": ("self.forward = lambda x: self.b(self.a(x))", ""),
    "repr raises": ("self.extra_repr = lambda: 1 / 0", ""),
    "keeps its activations": ("self.kept = []", "self.kept.append(self.a(x))\nreturn self.b(self.kept[-1])"),
    "keeps state": ("self.state = None", "self.state = self.a(x)\nreturn self.b(self.state)"),
    "changes its buffers": (
        "self.register_buffer('n', torch.zeros(()))",
        "self.n += 1\nreturn self.b(self.a(x)) * self.n",
    ),
    "turns itself to eval": ("", "self.eval()\nreturn self.b(self.a(x))"),
    "reseeds": ("", "torch.manual_seed(0)\nreturn self.b(self.a(x))"),
    "checkpoints": (
        "from torch.utils.checkpoint import checkpoint; self.run = checkpoint",
        "return self.run(lambda t: self.b(self.a(t)), x, use_reentrant=False)",
    ),
    "variadic": ("self.forward = lambda *xs, **kw: self.b(self.a(xs[0]))", ""),
    "keyword only": ("self.forward = lambda *, x: self.b(self.a(x))", ""),
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.filterwarnings("ignore")
def test_an_unusual_structure_loads(name, tmp_path):
    init, forward = SOUND[name]
    found = load(net(init, forward or "return self.b(self.a(x).relu())"), tmp_path)
    assert found.info.inputs.endswith("float32 (8, 4)")
    with torch.enable_grad():
        found.loss(found.model(*found.args, **found.kwargs), found.targets).backward()
    assert found.model.b.weight.grad is not None


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


WRAPPERS = {
    "scripted": torch.jit.script,
    "traced": lambda m: torch.jit.trace(m, torch.randn(8, 4)),
    "compiled": torch.compile,
    "data parallel": nn.DataParallel,
    "averaged": torch.optim.swa_utils.AveragedModel,
}


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.filterwarnings("ignore")
def test_a_wrapped_model_loads(name):
    found = subject(WRAPPERS[name](two_layers()))
    assert found.args[0].shape == (8, 4)


def test_a_live_model_that_cannot_be_copied_says_so_only_when_a_copy_is_needed():
    model = two_layers()
    model.lock = threading.Lock()
    found = subject(model)
    assert found.rebuild is not None
    with pytest.raises(GradscopeError, match=r"Copying Sequential failed: TypeError.*a function that builds the model"):
        found.rebuild()


def test_a_live_model_that_cannot_be_copied_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model.lock = threading.Lock()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    subject(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("target", [3, None, torch.zeros(3), [nn.Linear(1, 1)]])
def test_a_target_of_a_wrong_type(target):
    with pytest.raises(GradscopeError, match=r"A target is a torch.nn.Module, .* not a "):
        subject(target)


def test_a_thousand_nested_modules(tmp_path):
    text = net("m = self.a\n        for _ in range(3000): m = nn.Sequential(m)\n        self.a = m")
    check_sentence(text, "RecursionError", tmp_path)
