"""The report as Markdown, for a pull request, an issue or a job summary."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.report._density import COLUMNS, TITLE, densities, legend
from gradscope.report._format import output_format
from gradscope.report._look import Look
from gradscope.report._order import worst_first
from gradscope.report._spectra import spectra
from gradscope.report._theory import beside, facts
from gradscope.report._words import brief, conditions, count, duration, estimate, maybe, number, risk, share, some
from gradscope.schema import Report, Verification

_MARKS = {"error": "❌", "warning": "⚠️", "info": "ℹ️"}
_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"})


@output_format("markdown", suffix=".md")
def markdown(report: Report, look: Look) -> str:
    """Verdict, findings as a table, remedies with code to paste, facts in a fold."""
    subject, answer = report.subject, report.verdict
    lines = [
        f"## Gradscope: {answer.label}, {risk(answer)}",
        "",
        _plain(answer.reason, look),
        *(("", _plain(conditions(answer), look)) if answer.conditions else ()),
        "",
        f"{_code(subject.target, look)}: {_plain(subject.class_name, look)}, {count(subject.parameters, 'parameter')}",
        *_findings(report, look),
        *(line for v in report.verifications if v.accepted for line in _remedy(v, look)),
        *_densities(report, look),
        *_theory(report, look),
        *_facts(report, look),
    ]
    return "\n".join(lines) + "\n"


def _findings(report: Report, look: Look) -> Iterator[str]:
    if not report.findings:
        return
    yield from ("", "| | finding | layers | evidence | limit |", "|---|---|---|---|---|")
    for f in worst_first(report.findings):
        layers = _plain(some([look.clean(name) for name in report.labels(f.layers)]), look)
        evidence = "<br>".join(f"{_plain(name, look)} {estimate(value)}" for name, value in f.evidence.items())
        limit = f"{number(f.threshold.value)} {_plain(f.threshold.unit, look)}" if f.threshold else ""
        what = f"**{f.code} {f.name}**<br>{_plain(f.message, look)}"
        yield f"| {_MARKS[f.severity]} | {what} | {layers} | {evidence} | {limit} |"


def _remedy(verification: Verification, look: Look) -> Iterator[str]:
    prescription = verification.prescription
    yield from ("", f"### What helps: {prescription.remedy}", "", _plain(prescription.rationale, look), "")
    for name, before in verification.before.items():
        if name in verification.after:
            yield f"- {_plain(name, look)}: {brief(before)} → {brief(verification.after[name])}"
    for name, trial in (("untouched", verification.untouched), ("with this", verification.trial)):
        if trial is not None:
            losses = f"{brief(trial.initial_loss, digits=4)} → {brief(trial.final_loss, digits=4)}"
            yield f"- loss, {name}: {losses} in {count(trial.steps, 'step')} of {trial.optimizer}"
    fence = _fence(prescription.code)
    yield from ("", f"{fence}python", prescription.code, fence)


def _theory(report: Report, look: Look) -> Iterator[str]:
    known = facts(report)
    if not known:
        return
    yield from ("", "<details><summary>What theory predicts</summary>", "")
    yield from (f"- {_plain(name, look)}: {_plain(words, look)}" for name, words in known)
    layers = beside(report)
    if layers:
        yield from ("", "| layer | activation rms | predicted | gradient rms | predicted |", "|---|---|---|---|---|")
    for x in layers:
        numbers = (x.activation, x.predicted_activation, x.gradient, x.predicted_gradient)
        yield f"| {_plain(x.name, look)} | {' | '.join(maybe(value) for value in numbers)} |"
    yield from ("", "</details>")


def _densities(report: Report, look: Look) -> Iterator[str]:
    rows = densities(report)
    if not rows:
        return
    yield from ("", f"<details><summary>{TITLE}</summary>", "")
    yield from (f"| layer | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|")
    for x in rows:
        cells = x.cells if x.density.is_known else {COLUMNS[-1]: x.density.spread.method}
        numbers = (_plain(cells.get(title, ""), look) for title in COLUMNS)
        yield f"| {_plain(x.label, look)} | {' | '.join(numbers)} |"
    yield from ("", legend(rows), "", "</details>")


def _facts(report: Report, look: Look) -> Iterator[str]:
    subject, coverage = report.subject, report.coverage
    yield from ("", f"<details><summary>How this was {report.profile.origin}</summary>", "")
    yield f"- input: {_plain(subject.inputs, look)} ({_plain(subject.inputs_from, look)})"
    yield f"- loss: {_plain(subject.loss, look)}"
    yield from (f"- {name}: {_plain(words, look)}" for name, words in spectra(report))
    reached = share(coverage.parameters_reached)
    yield f"- coverage: {count(coverage.layers, 'layer')}, a gradient for {reached} of the parameters"
    yield from (f"- gap: {_plain(gap.layer, look)}: {_plain(gap.reason, look)}" for gap in report.gaps)
    yield f"- time: {duration(sum(report.seconds.values()))}, gradscope {report.environment.gradscope}"
    yield from ("", "</details>")


def _plain(text: str, look: Look) -> str:
    """Text of which Markdown makes nothing."""
    return look.clean(text).replace("\n", " ").translate(_SPECIAL)


def _code(text: str, look: Look) -> str:
    return f"`{look.clean(text).replace('`', chr(39))}`"


def _fence(code: str) -> str:
    """More backticks than any line of the code begins with."""
    lines = [line.strip() for line in code.splitlines()]
    return "`" * max([3, *(1 + len(line) - len(line.lstrip("`")) for line in lines)])
