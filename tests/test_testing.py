"""`assert_healthy`: passes a healthy model, and fails a sick one in words that help."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import gradscope
from gradscope.schema import GradscopeError, Report
from gradscope.testing import HealthError, assert_healthy
from tests.report import fixtures

INPUTS = torch.zeros(2, 3)


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The pipeline's double: answers with `reports[seed]`, the last of them for all further seeds."""
    double = SimpleNamespace(reports=[fixtures.healthy()], asked=[])

    def analyze(model: Any, inputs: Any, **options: Any) -> Report:
        double.asked.append({"model": model, "inputs": inputs, **options})
        return double.reports[min(options["seed"], len(double.reports) - 1)]

    monkeypatch.setitem(sys.modules, "gradscope.pipeline", SimpleNamespace(analyze=analyze))
    return double


def make_model() -> nn.Module:
    return nn.Linear(3, 3)


def test_a_healthy_model_passes_and_its_report_is_returned(analysis) -> None:
    assert assert_healthy(make_model, INPUTS) is analysis.reports[0]


def test_the_first_line_names_rule_layer_number_and_limit(analysis) -> None:
    analysis.reports = [fixtures.sick()]
    with pytest.raises(HealthError) as caught:
        assert_healthy(make_model, INPUTS)
    assert str(caught.value).splitlines()[0] == (
        "GS201 vanishing-gradient at layers.0 and 29 more: slope -0.26 [-0.273, -0.247], "
        "limit -0.1 decades per layer, first / last 3e-08"
    )


def test_the_failure_counts_and_says_how_to_go_on(analysis) -> None:
    analysis.reports = [fixtures.sick()]
    with pytest.raises(HealthError) as caught:
        assert_healthy(make_model, INPUTS, fail_on="info")
    text = str(caught.value)
    assert "3 of 3 findings fail; they name 30 of 30 layers. Seed 0, verdict: vanishing, risk 0.97." in text
    assert "\n  GS103 collapsed-correlation at layers.52 and 3 more: correlation 0.97, limit 0.95 cosine\n" in text
    assert "gradscope explain GS201" in text
    assert text.endswith("Reproduce: gradscope.analyze(make_model, inputs, seed=0)")


def test_the_line_to_reproduce_has_what_was_given(analysis) -> None:
    analysis.reports = [fixtures.sick()]
    with pytest.raises(HealthError) as caught:
        assert_healthy(make_model, INPUTS, targets=INPUTS, loss=nn.functional.mse_loss)
    assert str(caught.value).endswith("gradscope.analyze(make_model, inputs, targets=targets, loss=loss, seed=0)")


def test_the_error_carries_the_report_and_the_failing_findings(analysis) -> None:
    analysis.reports = [fixtures.sick()]
    with pytest.raises(HealthError) as caught:
        assert_healthy(make_model, INPUTS)
    assert caught.value.report is analysis.reports[0]
    assert [f.code for f in caught.value.findings] == ["GS201"]


@pytest.mark.parametrize("pattern", ["GS201", "gs2", "vanishing-gradient"])
def test_an_ignored_finding_does_not_fail(analysis, pattern: str) -> None:
    analysis.reports = [fixtures.sick()]
    assert_healthy(make_model, INPUTS, ignore=[pattern])


def test_ignoring_what_does_not_exist_is_an_error(analysis) -> None:
    with pytest.raises(GradscopeError, match="No diagnostic 'GS777'"):
        assert_healthy(make_model, INPUTS, ignore=["GS777"])


def test_milder_findings_fail_only_where_asked(analysis) -> None:
    analysis.reports = [fixtures.sick()]
    assert_healthy(make_model, INPUTS, ignore=["GS201"])
    with pytest.raises(HealthError, match=r"^GS401 unexpected-initial-loss: initial loss 2\.1"):
        assert_healthy(make_model, INPUTS, ignore=["GS201"], fail_on="warning")


def test_every_seed_is_checked_and_the_failing_one_named(analysis) -> None:
    from dataclasses import replace

    bad = replace(fixtures.sick(), subject=replace(fixtures.sick().subject, seed=2))
    analysis.reports = [fixtures.healthy(), fixtures.healthy(), bad]
    with pytest.raises(HealthError) as caught:
        assert_healthy(make_model, INPUTS, seeds=5)
    assert [asked["seed"] for asked in analysis.asked] == [0, 1, 2]
    assert "Seed 2, verdict" in str(caught.value)
    assert "seed=2)" in str(caught.value)


def test_several_seeds_need_a_function_that_builds(analysis) -> None:
    with pytest.raises(GradscopeError, match="seeds=3 needs a function that builds the model"):
        assert_healthy(make_model(), INPUTS, seeds=3)
    assert_healthy(make_model(), INPUTS, seeds=1)


@pytest.mark.parametrize(
    ("option", "reason"), [({"seeds": 0}, "seeds must be"), ({"fail_on": "bad"}, "fail_on must be")]
)
def test_options_without_meaning_are_refused(analysis, option: dict[str, Any], reason: str) -> None:
    with pytest.raises(GradscopeError, match=reason):
        assert_healthy(make_model, INPUTS, **option)


def test_nothing_is_prescribed_in_a_test(analysis) -> None:
    loss = nn.functional.mse_loss
    assert_healthy(make_model, INPUTS, targets=INPUTS, loss=loss)
    (asked,) = analysis.asked
    assert asked == {
        "model": make_model, "inputs": INPUTS, "targets": INPUTS, "loss": loss, "seed": 0, "prescribe": False,
        "trial_steps": False,
    }  # fmt: skip


def test_the_error_is_an_assertion_and_is_found_where_its_name_says() -> None:
    assert issubclass(HealthError, AssertionError)
    assert gradscope.HealthError is HealthError
    assert f"{HealthError.__module__}.{HealthError.__qualname__}" == "gradscope.HealthError"
    assert pickle.loads(pickle.dumps(HealthError)) is HealthError
