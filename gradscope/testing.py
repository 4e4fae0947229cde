"""Assertions on a model's health, for any test runner."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from gradscope.report import worst_first
from gradscope.schema import SEVERITIES, Finding, GradscopeError, Report

_SHOWN = 5  # findings in the failure text


class HealthError(AssertionError):
    """A model has findings that it must not have.

    Attributes:
        report: the whole analysis.
        findings: those that made it fail.
    """

    __module__ = "gradscope"  # where it is exported; a short name leaves room for the message

    def __init__(self, message: str, report: Report, findings: Sequence[Finding]) -> None:
        super().__init__(message)
        self.report = report
        self.findings = tuple(findings)


def assert_healthy(
    model: Any,
    inputs: Any,
    *,
    targets: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    seeds: int = 1,
    fail_on: str = "error",
    ignore: Sequence[str] = (),
) -> Report:
    """Analyse a model before training and fail if anything is wrong with its signal or gradients.

    Nothing is prescribed, so a check costs a few forward and backward passes.

    Args:
        model: a module, or a function without arguments that builds one.
        inputs: example inputs: a tensor, a tuple of positional or a dict of keyword arguments.
        targets: what `loss` compares the output with.
        loss: (output, targets) -> scalar tensor; found by gradscope if left out.
        seeds: how many initializations to check; more than one needs a function that builds the model.
        fail_on: mildest severity that fails: "info", "warning" or "error".
        ignore: codes, beginnings of codes or names of findings that are allowed, e.g. "GS103" or "dead-relu".

    Returns:
        The report of the last seed; seed k builds the model with all generators seeded with k.

    Raises:
        HealthError: there is a finding at or above `fail_on`; the message names rule, layers and numbers.
        GradscopeError: the model cannot be analysed, or an argument makes no sense.
    """
    __tracebackhide__ = True
    from torch import nn

    from gradscope.diagnose import find
    from gradscope.pipeline import analyze

    if fail_on not in SEVERITIES:
        raise GradscopeError(f"fail_on must be one of {', '.join(SEVERITIES)}, got {fail_on!r}.")
    if seeds < 1:
        raise GradscopeError(f"seeds must be at least 1, got {seeds}.")
    if seeds > 1 and isinstance(model, nn.Module):
        raise GradscopeError(f"seeds={seeds} needs a function that builds the model, not a model that is built.")
    ignored = {diagnostic.code for pattern in ignore for diagnostic in find(pattern)}
    reports = []
    for seed in range(seeds):
        report = analyze(model, inputs, targets=targets, loss=loss, seed=seed, prescribe=False, trial_steps=False)
        failing = [f for f in report.findings if _is_failure(f, fail_on, ignored)]
        if failing:
            given = {"targets": targets, "loss": loss}
            call = ", ".join([_name(model), "inputs", *(f"{k}={k}" for k, v in given.items() if v is not None)])
            raise HealthError(_message(report, failing, call), report, failing)
        reports.append(report)
    return reports[-1]


def _is_failure(finding: Finding, fail_on: str, ignored: Collection[str]) -> bool:
    is_severe = SEVERITIES.index(finding.severity) >= SEVERITIES.index(fail_on)
    return is_severe and finding.code not in ignored


def _message(report: Report, failing: Sequence[Finding], call: str) -> str:
    """Rule, layer and number in the first line; then how many, the others, and a line to reproduce."""
    ordered = worst_first(failing)
    named = {name for finding in ordered for name in finding.layers}
    verdict, seed = report.verdict, report.subject.seed
    lines = [
        _headline(report, ordered[0]),
        f"{len(ordered)} of {len(report.findings)} findings fail; they name {len(named)} of "
        f"{report.coverage.layers} layers. Seed {seed}, verdict: {verdict.label}, risk {verdict.risk:.2f}.",
        *(f"  {_headline(report, finding)}" for finding in ordered[1:_SHOWN]),
        *([f"  and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else []),
        f"What it means: gradscope explain {ordered[0].code}",
        f"Reproduce: gradscope.analyze({call}, seed={seed})",
    ]
    return "\n".join(lines)


def _headline(report: Report, finding: Finding) -> str:
    """`GS201 vanishing-gradient at layers.0 and 29 more: slope -0.26 [-0.27, -0.25], limit -0.1 decades per layer`."""
    where = "".join(f" at {label}" for label in report.labels(finding.layers[:1]))
    others = f" and {len(finding.layers) - 1} more" if len(finding.layers) > 1 else ""
    numbers = [f"{name.replace('_', ' ')} {value}" for name, value in finding.evidence.items()]
    if finding.threshold:
        numbers.insert(1, f"limit {finding.threshold.value:.3g} {finding.threshold.unit}")
    return f"{finding.code} {finding.name}{where}{others}: {', '.join(numbers) or finding.message}"


def _name(model: Any) -> str:
    """How the caller probably calls it."""
    return getattr(model, "__name__", "model")
