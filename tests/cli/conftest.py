"""A command line whose analysis answers with a hand-made report, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

import gradscope.pipeline
from gradscope.cli import run
from gradscope.pipeline import Request
from gradscope.schema import Report
from tests.report import fixtures


@dataclass
class Analysis:
    """Stands in for the pipeline."""

    answer: Callable[[], Report] = fixtures.healthy
    asked: list[Request] = field(default_factory=list)

    def __call__(self, request: Request, on_progress: object) -> Report:
        assert on_progress is None, "nobody is looking"
        self.asked.append(request)
        return self.answer()


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch) -> Analysis:
    double = Analysis()
    monkeypatch.setattr(gradscope.pipeline, "analyze_target", double)
    return double


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process."""

    def call(*arguments: str) -> Result:
        status = run(arguments)
        out, err = capfd.readouterr()
        return Result(int(status), out, err)

    return call
