"""How many models of a zoo can be predicted at all, and how many without an operator that has no rule."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from gradscope import predict
from tests.benchmarks import _zoo

RESULTS = Path("reports/benchmarks/predict_coverage.md")
MODELS = {"transformers": 120, "torchvision": 80, "timm": 80}  # of each library, evenly over its list
SECONDS = 90.0  # of CPU time that one forward pass on tables may take


def chosen() -> list[str]:
    """Names of the zoo, evenly over every library's list."""
    names = list(_zoo.names())
    found = []
    for library, count in MODELS.items():
        own = [name for name in names if name.startswith(f"{library}:")]
        found += sorted(random.Random(0).sample(own, min(count, len(own))))
    return found


def examined(name: str) -> dict[str, Any] | None:
    """What came of one model; None where it cannot be built or run here at all."""
    try:
        model, args, kwargs = _zoo.build(name)
    except (Exception, SystemExit):  # other versions, other libraries: not this benchmark's business
        return None
    start = time.process_time()
    try:
        run = predict.forward(predict.twin(model), args, kwargs, seconds=SECONDS)
        predict.profile(run)
    except Exception as error:
        return {"name": name, "error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
    fallbacks = run.trace.fallbacks
    seconds = time.process_time() - start
    return {"name": name, "share": fallbacks.share, "reasons": dict(fallbacks.reasons), "seconds": seconds}


def table(rows: list[dict[str, Any]], unavailable: int) -> str:
    """The report."""
    ran = [row for row in rows if "error" not in row]
    whole = [row for row in ran if not row["reasons"]]
    reasons = Counter(reason for row in ran for reason in row["reasons"])
    lines = [
        "# Models that can be predicted",
        "",
        f"`python -m tests.benchmarks predict_coverage`: {len(rows)} models of transformers, torchvision and timm, small",
        f"where their configuration allows it ({unavailable} more could not be built or run here at all).",
        "",
        f"- {len(ran)} of {len(rows)} run ({len(ran) / len(rows):.1%})",
        f"- {len(whole)} of {len(rows)} with a rule for every operator ({len(whole) / len(rows):.1%})",
        f"- longest: {max(row['seconds'] for row in ran):.0f} s of CPU time",
        "",
        "| operator without a rule | models |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in reasons.most_common()),
        "",
        "Not predicted:",
        "",
        *(f"- {row['name']}: {row['error']}" for row in rows if "error" in row),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Predict every model and write the table."""
    torch.set_num_threads(1)
    rows, unavailable = [], 0
    for name in chosen():
        row = examined(name)
        if row is None:
            unavailable += 1
            continue
        rows.append(row)
        print(row, flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(table(rows, unavailable), encoding="utf-8")


if __name__ == "__main__":
    main()
