"""Models by their names in libraries, built offline."""

from __future__ import annotations

import json
import sys
import types

import pytest

from gradscope.load import subject
from gradscope.load.target import parse
from gradscope.load.zoo import factory
from gradscope.schema import GradscopeError

SMALL = "n_layer=1,n_embd=32,n_head=2,vocab_size=50,n_positions=16"


@pytest.mark.parametrize("target", [f"hf:gpt2({SMALL})", f"hf:GPT2Config({SMALL})"])
def test_a_hugging_face_model_by_type_and_by_configuration(target):
    found = subject(target)
    assert found.info.class_name == "GPT2LMHeadModel"
    assert found.args[0].shape == (8, 16)  # no longer than its context
    assert found.classes == 50
    assert found.rebuild is not None


def test_a_configuration_file_names_its_architecture(tmp_path):
    values = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "num_hidden_layers": 1}
    values |= {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 50}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    for target in (f"hf:{path}", f"hf:{tmp_path}"):
        assert subject(target).info.class_name == "BertForSequenceClassification"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("hf:gpt22", "no model type or configuration class 'gpt22'; similar names: .*gpt2"),
        ("hf:google/bert-base", "never downloaded"),
        ("hf:GPT2LMHeadModel", "is no configuration class"),
        ("hf:missing/config.json", "no such file"),
        ("hf:GPT2Config(n_layer='two')", "Building"),
        ("timm:resnet18", "timm is not installed; `pip install timm`"),
        ("torchvision:resnet18", "torchvision is not installed; `pip install torchvision`"),
    ],
)
def test_a_name_that_leads_nowhere(target, says, monkeypatch):
    for name in ("timm", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(GradscopeError, match=says) as caught:
        subject(target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hidden": 3}', '{"model_type": "of the future"}'])
def test_a_file_that_is_no_configuration(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(GradscopeError, match=r"config\.json(: the installed|.* is no Hugging Face configuration)"):
        factory(parse(f"hf:{tmp_path}/config.json"))


def test_a_torchvision_that_does_not_fit_its_torch(monkeypatch, tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    with pytest.raises(GradscopeError, match=r"torchvision::nms.*does not fit the installed torch"):
        factory(parse("torchvision:resnet18"))


def test_timm_models_are_built_without_their_weights(monkeypatch):
    asked = []
    timm = types.ModuleType("timm")
    timm.is_model = lambda name: name == "resnet18"
    timm.list_models = lambda: ["resnet18", "resnet34"]
    timm.create_model = lambda *args, **kwargs: asked.append((args, kwargs))
    monkeypatch.setitem(sys.modules, "timm", timm)
    factory(parse("timm:resnet18.a1_in1k(num_classes=7)"))()
    assert asked == [(("resnet18.a1_in1k",), {"pretrained": False, "num_classes": 7})]
    with pytest.raises(GradscopeError, match=r"timm has no model 'resnet19'; similar names: resnet18"):
        factory(parse("timm:resnet19"))


def test_settings_replace_values_of_a_configuration():
    model = factory(parse("hf:gpt2").changed({"n_layer": 1, "n_embd": 24, "n_head": 2, "vocab_size": 50}))()
    assert len(model.transformer.h) == 1 and model.transformer.wte.weight.shape == (50, 24)


def test_a_setting_that_a_configuration_does_not_have_is_refused_with_similar_ones():
    with pytest.raises(GradscopeError, match="n_layer"):
        factory(parse("hf:gpt2").changed({"n_layers": 1}))
