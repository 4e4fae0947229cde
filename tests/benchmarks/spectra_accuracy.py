"""How often value and interval of the largest singular value are right, on 500 operators with hard spectra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradscope.schema import Estimate
from gradscope.spectra import Sweep, operator_norm
from gradscope.spectra._matrix import matrix_norm
from tests.spectra.hard import FAMILIES, draw

RESULT = Path("reports/benchmarks/spectra_accuracy.md")
COUNT = 500
FIRST_SEED = 5_000_000  # none of these was looked at when the stop rule was chosen
FAILURE = 1e-2  # chance that an upper bound fails
SETTINGS: dict[str, dict[str, Any]] = {
    "to 1 %": {"tolerance": 1e-2},
    "to 0.1 %": {"tolerance": 1e-3},
    "certified 1 %": {"tolerance": 1e-2, "is_certified": True},
}
ROUNDING = 1e-5  # relative, of float32 matrices


def solved(matrix: Tensor, seed: int, **options: Any) -> dict[str, Estimate]:
    """The norm by the way of a layer's weight, and by the way of an operator that can only be applied."""
    start = torch.randn(matrix.shape[1], generator=torch.Generator().manual_seed(seed))
    sweep = Sweep(probability=FAILURE, seed=seed, **options)
    return {
        "weight": matrix_norm(matrix, sweep)[0],
        "operator": operator_norm(matrix.mv, matrix.mT.mv, start, probability=FAILURE, **options),
    }


def main() -> None:
    """Solve everything and write reports/benchmarks/spectra_accuracy.md."""
    torch.set_num_threads(1)
    names = list(FAMILIES)
    tally = {(n, s, w): [0, 0, 0, 0, 0.0] for n in names for s in SETTINGS for w in ("weight", "operator")}
    for i in range(COUNT):
        name, seed = names[i % len(names)], FIRST_SEED + i
        matrix = draw(name, seed)
        truth = torch.linalg.svdvals(matrix)[0].item()
        for setting, options in SETTINGS.items():
            for way, norm in solved(matrix.float(), seed, **options).items():
                row = tally[name, setting, way]
                error = abs(norm.value / truth - 1)
                row[0] += 1
                row[1] += error > options["tolerance"]
                row[2] += not norm.low * (1 - ROUNDING) <= truth <= norm.high * (1 + ROUNDING)
                row[3] += norm.n
                row[4] = max(row[4], error)
    RESULT.write_text(_table(tally))


def _table(tally: dict[tuple[str, str, str], list[Any]]) -> str:
    def total(setting: str, way: str) -> list[Any]:
        rows = [row for (_, s, w), row in tally.items() if (s, w) == (setting, way)]
        return [*(sum(row[i] for row in rows) for i in range(4)), max(row[4] for row in rows)]

    def line(title: str, row: list[Any]) -> str:
        count, missed, outside, steps, worst = row
        return f"{title} | {1 - missed / count:.1%} | {1 - outside / count:.1%} | {worst:.2%} | {steps / count:.1f} |"

    lines = [
        "# Spectra: how often value and interval are right",
        "",
        f"`python -m tests.benchmarks spectra_accuracy`: {COUNT} operators in {len(FAMILIES)} families, seeds from "
        f"{FIRST_SEED} on, which played no part in the choice of any constant. Truth: dense float64 singular values. "
        f"An upper bound may fail with probability {FAILURE:.0%}. A weight below 97 on its smaller side is solved "
        "densely; an operator is always iterated on. Goal: at least 99 % in both columns.",
        "",
        "| accuracy | way | value within tolerance | interval holds | largest error | steps |",
        "|---|---|---|---|---|---|",
        *(line(f"| {s} | {w}", total(s, w)) for s in SETTINGS for w in ("weight", "operator")),
        "",
        "By family, as an operator:",
        "",
        "| family | accuracy | value within tolerance | interval holds | largest error | steps |",
        "|---|---|---|---|---|---|",
        *(line(f"| {n} | {s}", tally[n, s, "operator"]) for n in FAMILIES for s in SETTINGS),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
