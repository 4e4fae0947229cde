"""`gradscope demo` shows an audit, writes it in every format and says where."""

from __future__ import annotations

import json
from pathlib import Path

from gradscope.report import FORMATS
from tests.report import fixtures


def test_the_demo_shows_both_models_and_writes_every_format(invoke, analysis, tmp_path: Path) -> None:
    reports = iter([fixtures.sick(), fixtures.healthy()])
    analysis.answer = lambda: next(reports)
    result = invoke("demo", "--folder", f"{tmp_path}/shown")
    assert result.status == 0
    assert "VANISHING" in result.out
    assert "healthy twin, with orthogonal weights: healthy, risk 0.03" in result.out
    written = sorted(path.name for path in (tmp_path / "shown").iterdir())
    assert written == sorted(f"audit{form.suffix}" for form in FORMATS if form.suffix)
    assert f"{tmp_path}/shown/ " in result.out
    assert all(name in result.out for name in written)
    assert json.loads((tmp_path / "shown" / "audit.json").read_text())["verdict"]["label"] == "vanishing"


def test_the_demo_audits_the_packaged_example_and_its_twin(invoke, analysis, tmp_path: Path) -> None:
    invoke("demo", "--folder", f"{tmp_path}/shown")
    sick, twin = (asked.target for asked in analysis.asked)
    assert Path(sick).is_file()
    assert twin == f"{sick}:make_healthy_model"


def test_the_example_differs_from_its_twin_only_in_its_weights(analysis) -> None:
    from gradscope.cli._examples import deep_tanh

    sick, healthy = deep_tanh.make_model(), deep_tanh.make_healthy_model()
    assert str(sick) == str(healthy)
    (inputs, targets), again = deep_tanh.example_inputs(), next(deep_tanh.batches(0))
    assert sick(inputs).shape == (deep_tanh.BATCH, 2)
    assert inputs.equal(again[0])
    assert targets.bincount().tolist() == [deep_tanh.BATCH // 2] * 2
