"""What the user types as a target is understood, or refused with the forms that are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradscope.load.target import parse, setting
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("depth=3", ("depth", 3)),
        ("act=relu", ("act", "relu")),
        ("widths=[1, 2]", ("widths", [1, 2])),
        ("x=", ("x", "")),
    ],
)
def test_a_setting_is_a_name_and_a_literal_or_text(text: str, expected: tuple[str, object]) -> None:
    assert setting(text) == expected


@pytest.mark.parametrize("text", ["depth", "=3", ""])
def test_a_setting_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(GradscopeError, match="num_hidden_layers=126"):
        setting(text)


def test_settings_become_arguments_of_a_call_and_values_of_a_configuration() -> None:
    called = parse("timm:resnet18(num_classes=3)").changed({"in_chans": 1, "num_classes": 5})
    configured = parse("hf:gpt2").changed({"n_layer": 2})

    assert called.kwargs == {"num_classes": 5, "in_chans": 1} and called.is_call
    assert configured.settings == {"n_layer": 2} and not configured.kwargs


def test_settings_need_something_that_takes_them(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("")
    with pytest.raises(GradscopeError, match="--set must know"):
        parse(str(file)).changed({"depth": 3})
