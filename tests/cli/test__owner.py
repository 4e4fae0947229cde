"""The other project that is called gradscope is noticed before it does harm."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_the_other_project_beside_ours_is_one_sentence(invoke, analysis, tmp_path: Path, monkeypatch) -> None:
    metadata = tmp_path / "gradscope-9.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: gradscope\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("analyze", "m.py")
    assert result.status == 2
    assert result.err.startswith("gradscope: Another project called gradscope (9.9) is installed")
    assert analysis.asked == []


@pytest.mark.parametrize("command", [["analyze", "m.py"], ["demo", "--folder", "shown"]])
def test_alone_it_runs(invoke, analysis, command: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(*command).status == 0
