"""A static analysis: from Python, and as the command that a user types, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import gradscope
from gradscope.config import Config
from gradscope.report import render
from gradscope.schema import GradscopeError
from tests.subjects import classifier, random

FILE = """
import torch
from torch import nn


class Forgotten(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.scale = nn.Parameter(torch.empty(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.scale * x)


def make_model(depth=4, width=64):
    assert nn.Linear(2, 2).weight.is_meta, "memory was allocated"
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(width, 10))
"""


def command(*arguments: str) -> tuple[int, dict]:
    """Run the command line in a process of its own: exit status and the JSON document."""
    done = subprocess.run(
        [sys.executable, "-m", "gradscope", "analyze", *arguments, "--static", "--format", "json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(FILE)
    return path


def test_a_file_is_predicted_without_allocating_it_and_settings_change_it(file: Path) -> None:
    status, document = command(f"{file}:make_model", "--set", "depth=40")

    assert status == 1  # forty tanh layers with PyTorch's defaults vanish
    assert document["origin"] == "predicted"
    assert document["verdict"]["label"] == "vanishing"
    assert document["predicted"] is None  # there is nothing to stand beside
    assert len([x for x in document["layers"] if x["op"] == "Linear"]) == 41
    assert document["subject"]["device"] == "meta"
    assert document["network"]["fallback_share"]["value"] == 0


def test_a_configuration_of_any_size_needs_no_weights() -> None:
    status, document = command(
        "hf:llama", "--set", "num_hidden_layers=3", "--set", "hidden_size=8192", "--set", "intermediate_size=28672",
        "--set", "num_attention_heads=64", "--set", "num_key_value_heads=8", "--input", "1,32", "--fail-on", "never",
    )  # fmt: skip

    assert status == 0
    assert document["subject"]["parameters"] > 2e9
    assert document["subject"]["loss"].startswith("cross-entropy over 32000 classes")


def test_the_answer_says_whether_blocks_were_extrapolated() -> None:
    build = lambda: nn.Sequential(*(m for _ in range(40) for m in (nn.Linear(64, 64), nn.Tanh())))  # noqa: E731
    given = torch.empty(8, 64, device="meta")
    told = {}
    for most in (24, 160):
        report = gradscope.analyze(build, given, static=True, config=Config(prediction_blocks=most))
        told[most] = render(report, "markdown")
        assert report.verdict.label == "vanishing"
        assert report.predicted is not None and len(report.predicted.layers) == 81

    assert "12 of 40 equal blocks, the others extrapolated" in told[24]
    assert "every layer" in told[160] and "extrapolated" not in told[160]


def test_a_parameter_that_nothing_initializes_is_an_error(file: Path) -> None:
    _, document = command(f"{file}:Forgotten")

    found = {f["code"]: f for f in document["findings"]}
    assert "scale" in found["GS690"]["message"]


def test_from_python_no_data_of_a_module_is_read_but_its_scale() -> None:
    def build() -> nn.Module:
        return classifier(30, nn.Tanh, width=64)

    report = gradscope.analyze(build, (torch.empty(8, 64, device="meta"),), static=True, config=Config())

    assert report.measured is None and report.predicted is report.profile
    assert report.verdict.label == "vanishing"
    same = gradscope.analyze(build(), torch.empty(8, 64, device="meta"), static=True, config=Config())
    assert same.verdict.label == "vanishing"
    compiled = gradscope.analyze(
        torch.compile(build()), torch.empty(8, 64, device="meta"), static=True, config=Config()
    )
    assert [layer.name for layer in compiled.layers] == [layer.name for layer in same.layers]


def test_measured_and_predicted_stand_side_by_side_and_agree() -> None:
    report = gradscope.analyze(classifier(6, nn.ReLU, width=64), random(32, 64), prescribe=False, config=Config())

    assert report.predicted is not None and report.measured is not None
    assert [x.name for x in report.predicted.layers] == [x.name for x in report.measured.layers]
    surprises = [x.quantities["activation_surprise"] for x in report.layers]
    print([str(s) for s in surprises])
    assert all(s.low <= 0 <= s.high and s.high - s.low < 5 for s in surprises)
    assert "GS190" not in {f.code for f in report.findings}


def test_a_model_that_is_not_what_its_layers_say_is_noticed() -> None:
    class Tied(nn.Module):
        """One weight four times in a row: eigenvectors, not random directions, come out."""

        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
            symmetric = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
            self.stem.weight.data = (symmetric + symmetric.T) / 16

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(12):
                x = self.stem(x)
            return self.head(x)

    report = gradscope.analyze(Tied(), random(32, 64), prescribe=False, config=Config())

    assert "GS190" in {f.code for f in report.findings}


def test_a_prediction_that_fails_is_a_gap_that_says_whose_code_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    class Real(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = classifier(2, nn.ReLU, width=64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.is_meta:
                raise ValueError("no data")
            return self.body(x)

    def reason(model: nn.Module) -> str:
        report = gradscope.analyze(model, random(8, 64), prescribe=False, trial_steps=False, config=Config())
        assert report.predicted is None
        return next(gap.reason for gap in report.gaps if gap.layer == "prediction")

    assert "does not run without data" in reason(Real())
    monkeypatch.setattr("gradscope.predict._plan.distribution", None)
    assert "theory failed at gradscope/predict/_plan.py:" in reason(classifier(2, nn.ReLU, width=64))


def test_no_prediction_without_a_budget_for_it() -> None:
    config = gradscope.config.override(Config(), {"prediction-seconds": 0.0})
    report = gradscope.analyze(classifier(2, nn.ReLU, width=64), random(8, 64), prescribe=False, config=config)

    assert report.predicted is None


def test_what_a_static_analysis_cannot_use_is_refused() -> None:
    with pytest.raises(GradscopeError, match="sees no data"):
        gradscope.analyze(classifier(2, nn.ReLU), random(8, 64), targets=torch.zeros(8), static=True)
