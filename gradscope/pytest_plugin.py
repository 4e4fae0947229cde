"""The pytest plugin: the fixture `gradient_health`, a marker for its options, and `--gradscope-report FILE`.

Loading it imports no torch; the audit is imported when a test asks for one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from gradscope.schema import Report

_PROPERTY = "gradscope"
_MARKER = "gradient_health(seeds=1, fail_on='error', ignore=()): options of the gradient_health fixture"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--gradscope-report`."""
    group = parser.getgroup("gradscope", "model health")
    group.addoption("--gradscope-report", metavar="FILE", type=Path, help="write every model audit's verdict as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and, in the process that writes, the collector of verdicts."""
    config.addinivalue_line("markers", _MARKER)
    path = config.getoption("--gradscope-report")
    is_worker = hasattr(config, "workerinput")
    if path is not None and not is_worker:
        config.pluginmanager.register(_Collector(path), "gradscope-collector")


@dataclass(frozen=True, slots=True)
class HealthOptions:
    """What a `gradient_health` marker may set; the arguments of the fixture win over it."""

    seeds: int = 1
    fail_on: str = "error"
    ignore: Sequence[str] = ()


@pytest.fixture
def gradient_health(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """`gradscope.testing.assert_healthy`, with the options of the test's `gradient_health` marker as defaults."""
    from gradscope.testing import HealthError, assert_healthy

    options, properties = _options(request.node), request.node.user_properties

    def check(
        model: Any,
        inputs: Any,
        *,
        targets: Any = None,
        loss: Callable[[Any, Any], Any] | None = None,
        seeds: int = options.seeds,
        fail_on: str = options.fail_on,
        ignore: Sequence[str] = options.ignore,
    ) -> Report:
        __tracebackhide__ = True
        try:
            report = assert_healthy(
                model, inputs, targets=targets, loss=loss, seeds=seeds, fail_on=fail_on, ignore=ignore
            )
        except HealthError as error:
            properties.append((_PROPERTY, _record(error.report)))
            raise
        properties.append((_PROPERTY, _record(report)))
        return report

    return check


def _options(item: pytest.Item) -> HealthOptions:
    marker = item.get_closest_marker("gradient_health")
    if marker is None:
        return HealthOptions()
    try:
        return HealthOptions(*marker.args, **marker.kwargs)
    except TypeError as error:
        raise pytest.UsageError(f"{item.nodeid}: gradient_health marker: {error}") from None


def _record(report: Report) -> dict[str, Any]:
    """Plain values only: they travel from pytest-xdist's workers."""
    return {
        "label": report.verdict.label,
        "risk": report.verdict.risk,
        "reason": report.verdict.reason,
        "seed": report.subject.seed,
        "findings": [str(finding) for finding in report.findings],
    }


class _Collector:
    """Gathers what the tests recorded, from this process or from workers, and writes it at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.audits: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the audits of a finished test."""
        if report.when == "teardown":
            audits = (value for key, value in report.user_properties if key == _PROPERTY)
            self.audits += [{"test": report.nodeid, **cast(dict[str, Any], audit)} for audit in audits]

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        """Write the file, in the order of the tests' names so that parallel runs agree."""
        from gradscope.report import write

        yield
        self.audits.sort(key=lambda audit: audit["test"])
        write(self.path, json.dumps(self.audits, indent=1) + "\n")
