"""What the user types as a target is understood, or refused with the forms that are."""

from __future__ import annotations

import pytest

from gradscope.load.target import parse
from gradscope.schema import GradscopeError


def test_a_file_with_a_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").touch()
    target = parse("model.py:Net(3, widths=[64, 64], act='relu')")
    assert (target.kind, target.place, target.name) == ("file", "model.py", "Net")
    assert (target.args, target.kwargs) == ((3,), {"widths": [64, 64], "act": "relu"})


@pytest.mark.parametrize(
    ("text", "kind", "place", "name"),
    [
        ("pkg.mod:factory(1)", "module", "pkg.mod", "factory"),
        ("pkg.mod:Outer.Net", "module", "pkg.mod", "Outer.Net"),
        ("hf:gpt2", "hf", "gpt2", None),
        ("hf:xlm-roberta", "hf", "xlm-roberta", None),
        ("hf:GPT2Config(n_layer=2)", "hf", "GPT2Config", None),
        ("hf:folder/config.json", "hf", "folder/config.json", None),
        ("timm:resnet50.a1_in1k", "timm", "resnet50.a1_in1k", None),
        ("torchvision:resnet18(num_classes=7)", "torchvision", "resnet18", None),
    ],
)
def test_every_form(text, kind, place, name):
    target = parse(text)
    assert (target.kind, target.place, target.name) == (kind, place, name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("missing.py", "no such file"),
        ("missing.py:Net", "no such file"),
        ("resnet18", "neither a file nor"),
        ("", "neither a file nor"),
        ("hf:", "names no model"),
        ("pkg.mod:f(x)", "literals"),
        ("pkg.mod:f(**{'a': 1})", "not understood"),
        ("pkg.mod:f(1", "literals"),
        ("pkg.mod:(1)", "not understood"),
        ("model.onnx", "ONNX"),
        ("weights.pt", "--weights"),
    ],
)
def test_what_is_not_understood_gets_the_known_forms(text, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GradscopeError, match=says):
        parse(text)


def test_arguments_are_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GradscopeError, match="literals"):
        parse("pkg.mod:f(open('made', 'w'))")
    assert list(tmp_path.iterdir()) == []
