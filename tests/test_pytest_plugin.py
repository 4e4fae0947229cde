"""The pytest plugin, run by pytest itself on test files of a user's."""

from __future__ import annotations

import json
import textwrap

import pytest

SICK = """
    import torch
    from torch import nn

    def make_model():
        layers = [layer for _ in range(24) for layer in (nn.Linear(16, 16), nn.Tanh())]
        return nn.Sequential(*layers, nn.Linear(16, 4))

    def make_healthy_model():
        return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))

    inputs = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
"""


@pytest.fixture(scope="module", autouse=True)
def _torch_is_loaded() -> None:
    """pytester forgets what a run in this process imported, and torch cannot be imported twice."""
    from torch import nn, zeros

    from gradscope.testing import assert_healthy

    assert_healthy(nn.Linear(2, 2), zeros(2, 2), ignore=["GS"])


@pytest.fixture
def user(pytester: pytest.Pytester):
    """Run pytest on a test file that knows a sick and a healthy model."""

    def call(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_model=textwrap.dedent(SICK) + textwrap.dedent(tests))
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    return call


def test_a_healthy_model_passes(user) -> None:
    user("def test(gradient_health): gradient_health(make_healthy_model, inputs)").assert_outcomes(passed=1)


def test_a_sick_model_fails_with_rule_layer_and_number(user) -> None:
    result = user("def test_deep(gradient_health): gradient_health(make_model, inputs)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*gradscope.HealthError: GS201 vanishing-gradient at *: *, limit * decades*",
            "E*of * layers*",
            "E*Reproduce: gradscope.analyze(make_model, inputs, seed=0)",
            "FAILED test_model.py::test_deep - gradscope.HealthError: GS201 van*",
        ]
    )


def test_the_traceback_ends_in_the_users_file(user) -> None:
    text = user("def test_deep(gradient_health): gradient_health(make_model, inputs)").stdout.str()
    assert "pytest_plugin.py" not in text
    assert "testing.py" not in text
    assert "test_model.py:" in text


def test_the_marker_sets_options_and_the_call_wins(user) -> None:
    user(
        """
        import pytest

        @pytest.mark.gradient_health(ignore=["GS"])
        def test_ignored(gradient_health): gradient_health(make_model, inputs)

        @pytest.mark.gradient_health(ignore=["GS"])
        def test_not_ignored(gradient_health): gradient_health(make_model, inputs, ignore=[])
        """,
        "--strict-markers",
    ).assert_outcomes(passed=1, failed=1)


def test_an_unknown_option_of_the_marker_is_named(user) -> None:
    result = user(
        """
        import pytest

        @pytest.mark.gradient_health(sedes=3)
        def test(gradient_health): pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*gradient_health marker*sedes*"])


@pytest.mark.parametrize("parallel", [(), ("-n", "1")])
def test_the_report_holds_every_audit_in_order_of_tests(user, pytester, parallel) -> None:
    result = user(
        """
        def test_b(gradient_health): gradient_health(make_model, inputs)
        def test_a(gradient_health): gradient_health(make_healthy_model, inputs)
        def test_c(): pass
        """,
        "--gradscope-report=health.json",
        *parallel,
    )
    result.assert_outcomes(passed=2, failed=1)
    first, second = json.loads((pytester.path / "health.json").read_text())
    assert (first["test"], first["label"], first["findings"]) == ("test_model.py::test_a", "healthy", [])
    assert (second["test"], second["label"]) == ("test_model.py::test_b", "vanishing")
    assert any(finding.startswith("GS201 vanishing-gradient: ") for finding in second["findings"])


def test_without_the_option_nothing_is_written(user, pytester) -> None:
    user("def test(gradient_health): gradient_health(make_healthy_model, inputs)")
    assert sorted(p.suffix for p in pytester.path.iterdir() if p.is_file()) == [".py"]
