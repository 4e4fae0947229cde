"""A command line whose analysis answers with a hand-made report, and remembers what it was asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from gradscope.cli import run
from gradscope.schema import Report
from tests.report import fixtures


@dataclass
class Analysis:
    """Stands in for the pipeline."""

    answer: Callable[[], Report] = fixtures.healthy
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, target: str, **options: Any) -> Report:
        self.asked.append({"target": target, **options})
        return self.answer()


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch) -> Analysis:
    double = Analysis()
    monkeypatch.setitem(sys.modules, "gradscope.pipeline", SimpleNamespace(analyze_target=double))
    return double


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process."""

    def call(*arguments: str) -> Result:
        status = run(arguments)
        out, err = capfd.readouterr()
        return Result(int(status), out, err)

    return call
