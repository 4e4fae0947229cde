"""What a command line names gets the same audit, in a process of its own."""

import json
import math
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gradscope.config import Config
from gradscope.pipeline import Options, Request, analyze_target
from gradscope.schema import GradscopeError

OPTIONS = Options(Config(), prescribe=False)


def test_a_command_line_target_gives_the_same_verdict_through_a_process(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import torch\n\n\ndef make_model():\n"
        "    layers = [m for _ in range(25) for m in (torch.nn.Linear(16, 16), torch.nn.Tanh())]\n"
        "    return torch.nn.Sequential(*layers, torch.nn.Linear(16, 4))\n"
    )
    stages: list[str] = []
    report = analyze_target(Request(str(file), OPTIONS), lambda stage, fraction: stages.append(stage))
    document = json.loads(report.to_json())

    assert report.verdict.label == "vanishing"
    assert document["verdict"]["label"] == "vanishing"
    assert document["subject"]["inputs"]
    assert math.isclose(document["network"]["expected_loss"]["value"], math.log(4))
    assert "backward" in stages


def test_a_request_travels_whole() -> None:
    config = replace(Config(), timeout=3.0, optimizer="adamw")
    options = Options(config, seed=4, learning_rate=0.1, select=("GS2",), ignore=("dead-relu",), density=("a.*",))
    request = Request("m.py", options, inputs=("2,3",), settings={"depth": 3, "act": "relu"}, is_static=True)

    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(msgspec.to_builtins(request)))
    assert msgspec.convert(sent, Request) == request


def test_weights_are_nothing_to_theory() -> None:
    with pytest.raises(GradscopeError, match="reads no weights"):
        analyze_target(Request("m.py", OPTIONS, weights="w.pt", is_static=True))
