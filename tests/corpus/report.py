"""The corpus in words and tables: what was trained, how it was labelled, and what came out."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from tests.corpus import labels, losses, split, train
from tests.corpus.config import configs
from tests.corpus.data import TASKS, task
from tests.corpus.store import Row
from tests.corpus.tables import table

REPORT = Path(__file__).parents[2] / "reports" / "corpus.md"
OUTCOMES = ("trains", "degraded", "never")


def write(rows: Sequence[Row], path: Path = REPORT) -> None:
    """Write the report."""
    path.write_text(render(rows))


def render(rows: Sequence[Row]) -> str:
    """The report as Markdown."""
    labelled = [(row, labels.label(row)) for row in rows]
    parts = [
        "# A corpus with outcomes",
        f"{len(rows)} of {len(configs())} declared configurations are trained, in {sum(len(row.runs) for row in rows)} "
        "runs. Families are trained side by side, so an unfinished corpus is a balanced one. `make corpus` trains what "
        "is missing and writes this page; `tests.corpus.load()` reads the outcomes.",
        "## Outcomes by family",
        _families(labelled),
        "## Roles",
        _paragraphs(split),
        table(("role", *OUTCOMES), _counts((split.role(row), label.outcome) for row, label in labelled)),
        "## How an outcome becomes a label",
        _paragraphs(labels),
        f"TRAINS = {labels.TRAINS}, HALFWAY = {labels.HALFWAY}, NEVER = {labels.NEVER}, LUCKY = {labels.LUCKY}, "
        f"LAST = {labels.LAST} windows, WORSE = {labels.WORSE}.",
        "## How sharp the labels are",
        _borderline(labelled),
        "## Tasks",
        _tasks(rows),
        "## Training",
        _settings(rows),
    ]
    return "\n\n".join(parts) + "\n"


def _families(labelled: list[tuple[Row, labels.Label]]) -> str:
    declared = Counter(config.family for config in configs().values())
    header = ("family", "declared", "trained", *OUTCOMES, "exploding", "stuck", "SGD trains", "Adam trains")
    body = []
    for family in [*sorted({row.family for row, _ in labelled}), "all"]:
        members = [label for row, label in labelled if family in (row.family, "all")]
        outcomes = Counter(label.outcome for label in members)
        mechanisms = Counter(label.mechanism for label in members)
        trained = [sum(label.by_optimizer[name] == "trains" for label in members) for name in train.LADDER]
        counts = [outcomes[o] for o in OUTCOMES]
        body.append(
            (
                family,
                declared[family] or declared.total(),
                len(members),
                *counts,
                mechanisms["exploding"],
                mechanisms["stuck"],
                *trained,
            )
        )
    return table(header, body)


def _borderline(labelled: list[tuple[Row, labels.Label]]) -> str:
    """How many best scores lie near a limit, and how often single seeds say something else than all."""
    near = Counter(
        name
        for _, label in labelled
        for name, limit in (("TRAINS", labels.TRAINS), ("NEVER", labels.NEVER))
        if abs(label.score - limit) < 0.05
    )
    agreeing = [_agreement(row, label.outcome) for row, label in labelled]
    rows = [
        ("best score within 0.05 of TRAINS", near["TRAINS"]),
        ("best score within 0.05 of NEVER", near["NEVER"]),
        ("label of a single seed equals the label of all, share", f"{sum(agreeing) / len(agreeing):.3f}"),
    ]
    return table(("what", "value"), rows)


def _agreement(row: Row, expected: str) -> float:
    """Share of seeds whose runs alone give the label that all seeds give."""
    scale = labels.scale_of(row)
    single = [
        labels.outcome([[labels.final_score(run, scale)] for run in row.runs if run.seed == seed])
        for seed in train.SEEDS
    ]
    return sum(outcome == expected for outcome in single) / len(single)


def _tasks(rows: Sequence[Row]) -> str:
    header = ("task", "configurations", "samples", "outputs", "trivial error", "reference error")
    body = []
    for name in TASKS:
        data = task(name)
        trivial = 1.0 if not data.classes else losses.trivial_error(data.targets)
        count = sum(row.task == name for row in rows)
        body.append((name, count, len(data.inputs), data.outputs, f"{trivial:.3f}", labels.REFERENCE[name]))
    return table(header, body)


def _settings(rows: Sequence[Row]) -> str:
    ladders = {name: ", ".join(f"{rate:g}" for rate in rates) for name, rates in train.LADDER.items()}
    sizes = sorted(row.parameters for row in rows)
    steps = Counter(run.steps > train.STEPS for row in rows for run in row.runs)
    settings = [
        ("SGD, momentum 0.9, learning rates", ladders["sgd"]),
        ("Adam, betas 0.9 and 0.999, learning rates", ladders["adam"]),
        ("seeds of initialisation and data order", len(train.SEEDS)),
        ("steps of an undecided run", train.STEPS),
        ("steps of a run that is still improving, at most", train.LONGEST),
        ("runs that went past the first budget", steps[True]),
        ("steps averaged in a point of a curve", train.WINDOW),
        ("parameters: least, median, most", f"{sizes[0]}, {median(sizes):.0f}, {sizes[-1]}"),
        ("losses", ", ".join(sorted({row.loss for row in rows}))),
        ("input scalings", ", ".join(sorted({row.inputs for row in rows}))),
        ("target scalings", ", ".join(sorted({row.targets for row in rows}))),
    ]
    return table(("setting", "value"), settings)


def _counts(pairs: Iterable[tuple[str, str]]) -> list[tuple[object, ...]]:
    counts = Counter(pairs)
    return [(role, *(counts[role, outcome] for outcome in OUTCOMES)) for role in sorted({role for role, _ in counts})]


def _paragraphs(module: object) -> str:
    """A module's own documentation without its first line."""
    return (inspect.getdoc(module) or "").partition("\n\n")[2]
