"""Checkpoints are read without executing anything, and must fit."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from gradscope.load import subject
from gradscope.load.weights import load_weights
from gradscope.schema import GradscopeError


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.embed(ids))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s, "optimizer": {"state": {}, "param_groups": []}},
        lambda s: {"checkpoint": None, "model_state_dict": s},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"_orig_mod.{k}": v for k, v in s.items()}},
    ],
    ids=["plain", "lightning", "with optimizer", "nested", "data parallel", "compiled"],
)
def test_every_usual_nesting(wrap, tmp_path):
    trained, fresh = net(), net()
    torch.save(wrap(trained.state_dict()), tmp_path / "w.pt")
    load_weights(fresh, str(tmp_path / "w.pt"))
    assert same(trained, fresh)


def test_safetensors_with_tied_weights_stored_once(tmp_path):
    from safetensors.torch import save_file

    trained, fresh = Tied(), Tied()
    save_file({"embed.weight": trained.embed.weight}, tmp_path / "w.safetensors")
    load_weights(fresh, str(tmp_path / "w.safetensors"))
    assert same(trained, fresh) and fresh.head.weight is fresh.embed.weight


def test_a_subject_and_its_copies_hold_the_weights(tmp_path):
    trained = net()
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    found = subject(net, weights=str(tmp_path / "w.pt"))
    assert same(found.model, trained)
    assert found.rebuild is not None and same(found.rebuild(), trained)


def test_a_live_module_is_not_overwritten(tmp_path):
    trained, live = net(), net()
    before = {k: v.clone() for k, v in live.state_dict().items()}
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    assert same(subject(live, weights=str(tmp_path / "w.pt")).model, trained)
    assert all(torch.equal(v, before[k]) for k, v in live.state_dict().items())


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def save_whole(path):
    torch.save(net(), path)


def save_bomb(path):
    torch.save({"state_dict": Bomb()}, path)


REFUSED = {
    "whole module": (save_whole, r"a pickle that would run code when loaded.*model.state_dict\(\)"),
    "bomb": (save_bomb, "a pickle that would run code"),
    "plain pickle": (lambda p: p.write_bytes(pickle.dumps({"a": 1})), "w.pt (is a pickle|cannot be read|holds)"),
    "text": (lambda p: p.write_text("hello"), "w.pt (is a pickle|cannot be read)"),
    "empty": (lambda p: p.touch(), "w.pt cannot be read"),
    "cut short": (
        lambda p: (torch.save(net().state_dict(), p), p.write_bytes(p.read_bytes()[:300])),
        "w.pt (is a pickle|cannot be read)",
    ),
    "no tensors": (lambda p: torch.save({"epoch": 3, "loss": 0.5}, p), "holds a dict with the keys epoch, loss, not a"),
    "one tensor": (lambda p: torch.save(torch.zeros(3), p), "holds a Tensor, not a state dict"),
    "missing": (
        lambda p: torch.save({k: v for k, v in net().state_dict().items() if "2." not in k}, p),
        r"does not fit Sequential: 2 missing \(2.weight, 2.bias\)",
    ),
    "unexpected": (
        lambda p: torch.save(net().state_dict() | {f"x{i}": torch.zeros(1) for i in range(5)}, p),
        r"5 unexpected \(x0, x1, x2, \.\.\.\)",
    ),
    "other shape": (
        lambda p: torch.save(net().state_dict() | {"0.weight": torch.zeros(2, 2)}, p),
        r"1 of another shape \(0.weight \(2, 2\) for \(8, 4\)\)",
    ),
    "NaN": (
        lambda p: torch.save(net().state_dict() | {"0.weight": torch.full((8, 4), torch.nan)}, p),
        "0.weight .* holds 32 values that are NaN",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save, says = REFUSED[name]
    save(tmp_path / "w.pt")
    with pytest.raises(GradscopeError, match=says) as caught:
        subject(net, weights="w.pt")
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.pt"]


def test_a_missing_checkpoint():
    for name in ("no.pt", "no.safetensors"):
        with pytest.raises(GradscopeError, match="no such file"):
            subject(net, weights=name)
