"""Captures every model of the zoo and holds each capture against autograd, fx and its own replay."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gradscope import capture
from gradscope.borrow import borrowed, seeded
from gradscope.pytree import map_tensors, tensors_in
from tests.benchmarks._cost import peak_of, seconds_of
from tests.benchmarks._isolated import survey
from tests.benchmarks._zoo import build, names
from tests.capture import checks

RESULTS = Path("reports/benchmarks/capture.md")
SECONDS = 240  # a model may take in its own process
_LONG = 0.1  # CPU seconds of a plain forward and backward pass, above which Python's share is that of real models
_LARGE = 20  # MB of peak memory, above which a ratio of peaks is no noise


def examine(name: str) -> dict[str, Any]:
    """Everything that is checked and measured of one model."""
    torch.set_num_threads(1)
    with seeded(0):
        try:
            model, args, kwargs = build(name)
        except Exception as error:  # the row says why the model could not be had
            return {"name": name, "unavailable": f"{type(error).__name__}: {error}"[:200]}
    row: dict[str, Any] = {"name": name, "parameters": sum(p.numel() for p in model.parameters())}
    subject = checks.subject_of(model, *args, **kwargs)
    first, second = _plain(subject), _plain(subject)
    row["deterministic"] = checks.differences(first, second) == []
    try:
        with checks.captured(model, *args, **kwargs) as c:
            row |= {"nodes": len(c.graph.nodes), "blocks": len(c.graph.blocks), "gaps": len(c.graph.gaps)}
            row["missing"] = checks.missing_parameters(c)
            row["gradients"] = checks.gradient_differences(c)[:3]
            row["equal_to_plain"] = checks.differences(tensors_in(c.run.output), first) == []
            row["adjacency"] = _adjacency(c)
        row["captured"] = True
    except Exception as error:  # the failure is the result
        return row | {"captured": False, "error": f"{type(error).__name__}: {error}"[:300]}
    try:
        row["replay"] = checks.replay_differences(c)[:3]
    except Exception as error:  # the failure is the result
        row["replay"] = [f"{type(error).__name__}: {error}"[:300]]
    del c
    return row | _cost(subject)


def _plain(subject: Any) -> list[torch.Tensor]:
    with borrowed(subject.model, training=True, seed=checks.SEED):
        args, kwargs = _copied(subject)
        return [t.detach() for t in tensors_in(subject.model(*args, **kwargs))]


def _copied(subject: Any) -> Any:
    return map_tensors((subject.args, dict(subject.kwargs)), torch.clone)


def _adjacency(c: checks.Captured) -> list[str] | None:
    """Edges that fx and the tape do not share; None where `symbolic_trace` does not work."""
    arguments = [*c.subject.args, *c.subject.kwargs.values()]
    try:
        traced = torch.fx.symbolic_trace(c.subject.model)
        with borrowed(c.subject.model, training=True, seed=checks.SEED):
            traced(*arguments)
    except Exception:  # it cannot trace most models: that is why there is a tape
        return None
    return sorted(map(str, checks.adjacency_difference(c, traced, arguments)))[:3]


def _cost(subject: Any) -> dict[str, float]:
    """CPU seconds and peak memory of one forward and backward pass, plain and captured."""

    def plain() -> None:
        args, kwargs = _copied(subject)
        subject.model.train()
        checks.projected(subject.model(*args, **kwargs)).backward()
        subject.model.zero_grad(set_to_none=True)

    def captured() -> None:
        with borrowed(subject.model, training=True, seed=checks.SEED):
            _, run = capture.graph(subject)
            checks.projected(run.output).backward()

    args, kwargs = _copied(subject)
    if not checks.projected(subject.model(*args, **kwargs)).requires_grad:
        return {}
    seconds = {f: min(seconds_of(f) for _ in range(3)) for f in (plain, captured)}
    peaks = {f: peak_of(f) for f in (plain, captured)}
    return {
        "seconds": seconds[plain],
        "time_ratio": seconds[captured] / seconds[plain],
        "peak": peaks[plain],
        "memory_ratio": peaks[captured] / max(peaks[plain], 1e-9),
    }


# --- all models --------------------------------------------------------------------------------------


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    available = [r for r in rows if "unavailable" not in r]
    captured = [r for r in available if r["captured"]]
    deterministic = [r for r in captured if r["deterministic"]]
    random = ", ".join(r["name"] for r in captured if not r["deterministic"]) or "none"
    traced = [r for r in captured if r["adjacency"] is not None]
    costs = [r["time_ratio"] for r in captured if "time_ratio" in r]
    long = [r["time_ratio"] for r in captured if r.get("seconds", 0) > _LONG]
    large = [r["memory_ratio"] for r in captured if r.get("peak", 0) > _LARGE]
    lines = [
        "# Capture on models written by others",
        "",
        f"`python -m tests.benchmarks.capture`, torch {torch.__version__}, 1 thread, training mode, random "
        "weights, batch 2, shrunk configurations.",
        "",
        "| library | models | available | captured |",
        "|---|---|---|---|",
    ]
    for library in dict.fromkeys(r["name"].split(":")[0] for r in rows):
        own = [r for r in rows if r["name"].startswith(library)]
        there = [r for r in own if "unavailable" not in r]
        lines.append(f"| {library} | {len(own)} | {len(there)} | {sum(r['captured'] for r in there)} |")
    lines += [
        "",
        "| what | result |",
        "|---|---|",
        f"| captured | {len(captured)} of {len(available)} |",
        f"| models that differ from themselves under one seed | {random} |",
        f"| parameters with a gradient missing from the graph | {sum(len(r['missing']) for r in captured)} |",
        f"| output equal to the plain run (deterministic models) | "
        f"{sum(r['equal_to_plain'] for r in deterministic)} of {len(deterministic)} |",
        f"| replay of the fx graph equal, bit for bit (deterministic models) | "
        f"{sum(not r['replay'] for r in deterministic)} of {len(deterministic)} |",
        f"| streamed gradients equal to autograd's, bit for bit | "
        f"{sum(not r['gradients'] for r in captured)} of {len(captured)} |",
        f"| module adjacency equal to `symbolic_trace`'s, where it works | "
        f"{sum(not r['adjacency'] for r in traced)} of {len(traced)} |",
        f"| models with a part that cannot be seen into | {sum(r['gaps'] > 0 for r in captured)} |",
        f"| CPU time, captured / plain forward + backward: median, p90 | {_quantiles(costs)} |",
        f"| CPU time for those that take more than {_LONG} s: median, p90 | {_quantiles(long)} |",
        f"| peak memory, captured / plain, above {_LARGE} MB: median, p90 | {_quantiles(large)} |",
        "",
        "## Not as it should be",
        "",
    ]
    for row in available:
        if not row["captured"]:
            lines.append(f"- {row['name']}: {row['error']}")
        else:
            keys = ("missing", "gradients", "adjacency", *(["replay"] if row["deterministic"] else []))
            lines += [f"- {row['name']}: {key}: {row[key]}" for key in keys if row[key]]
    lines += ["", "## Not available", ""]
    lines += [f"- {r['name']}: {' '.join(r['unavailable'].split())}" for r in rows if "unavailable" in r]
    return "\n".join(lines) + "\n"


def _quantiles(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "-"
    return f"{statistics.median(values):.2f}, {statistics.quantiles(values, n=10)[-1]:.2f} ({len(values)} models)"


def main(select: str = "") -> None:
    """Examine every model whose name contains `select` and write the table."""
    chosen = [name for name in names() if select in name]
    RESULTS.write_text(table(survey(examine, chosen, seconds=SECONDS, unfinished={"captured": False})))


if __name__ == "__main__":
    main(*sys.argv[1:])
