"""Looks for example inputs of every model of the zoo with no help, and compares them with inputs known to work."""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradscope.borrow import seeded
from gradscope.load.inputs.facts import Facts
from gradscope.load.inputs.search import Search
from gradscope.load.inputs.trial import Trial
from gradscope.pytree import tensors_in
from tests.benchmarks._isolated import survey
from tests.benchmarks._zoo import build, names

RESULTS = Path("reports/benchmarks/inputs.md")
SECONDS = 600  # a model may take in its own process
_BRANCH = 0.02  # standard deviation given to parameters that start at zero, so that their branches pass gradients


def examine(name: str) -> dict[str, Any]:
    """The inputs that are found for one model, and which parameters they and the known inputs reach."""
    torch.set_num_threads(1)
    with seeded(0):
        try:
            model, args, kwargs = build(name)
        except Exception as error:  # the row says why the model could not be had
            return {"name": name, "unavailable": f"{type(error).__name__}: {error}"[:200]}
    start = time.process_time()
    facts = Facts(model)
    search = Search(facts, Trial(facts, lambda: copy.deepcopy(model), training=True, seed=0))
    search.run()
    row = {"name": name, "seconds": time.process_time() - start, "tried": len(search.tried)}
    if search.best is None:
        return row | {"found": False, "error": " ".join(str(search.errors[0]).split())[:200] if search.errors else ""}
    candidate = search.best[0]
    inputs = candidate.draw(torch.Generator().manual_seed(0), facts.dtype, facts.device)
    own = reached(model, *facts.call(inputs))
    known = reached(model, args, kwargs)
    return row | {
        "found": True,
        "inputs": {key: str(spec) for key, spec in candidate.inputs.items()},
        "share": len(own & known) / max(1, len(known)),
        "beyond": len(own - known),
        "not_reached": sorted(known - own)[:3],
    }


def reached(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> set[str]:
    """Names of the parameters to which a random gradient of all outputs flows."""
    model = copy.deepcopy(model).train()
    with seeded(0):
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():
                    parameter += _BRANCH * torch.randn_like(parameter)
        outputs = [t for t in tensors_in(model(*args, **kwargs)) if t.requires_grad]
        torch.autograd.backward(outputs, [torch.randn_like(t) for t in outputs])
    return {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}


# --- all models --------------------------------------------------------------------------------------


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    available = [r for r in rows if "unavailable" not in r]
    lines = [
        "# Example inputs found with no help",
        "",
        f"`python -m tests.benchmarks.inputs`, torch {torch.__version__}, 1 thread, training mode, random weights, "
        "shrunk configurations. The models were written by others; for each, inputs that work are known, and "
        '"reached" counts the parameters with a gradient from these known inputs that also get one from the found '
        "inputs.",
        "",
        "| library | models | found | all reached | share reached, mean | trials: median, p90 | CPU seconds: median, p90 |",
        "|---|---|---|---|---|---|---|",
    ]
    libraries = list(dict.fromkeys(r["name"].split(":")[0] for r in available))
    for library in [*libraries, ""]:
        own = [r for r in available if r["name"].startswith(library)]
        found = [r for r in own if r["found"]]
        whole = sum(r["share"] == 1.0 for r in found)
        mean = statistics.mean(r["share"] for r in found) if found else 0.0
        lines.append(
            f"| {library or '**all**'} | {len(own)} | {_share(len(found), len(own))} | {_share(whole, len(own))} | "
            f"{mean:.1%} | {_quantiles([r['tried'] for r in found])} | {_quantiles([r['seconds'] for r in found])} |"
        )
    lines += ["", "## Not found", ""]
    lines += [f"- {r['name']}: {r['error']}" for r in available if not r["found"]]
    lines += ["", "## Not everything reached", ""]
    lines += [
        f"- {r['name']}: {r['share']:.1%} with {r['inputs']}, not {', '.join(r['not_reached'])}"
        for r in available
        if r["found"] and r["share"] < 1.0
    ]
    return "\n".join(lines) + "\n"


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / max(1, whole):.1%})"


def _quantiles(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "-"
    return f"{statistics.median(values):.1f}, {statistics.quantiles(values, n=10)[-1]:.1f}"


def main(select: str = "") -> None:
    """Look at every model whose name contains `select` and write the table."""
    chosen = [name for name in names() if select in name]
    RESULTS.write_text(table(survey(examine, chosen, seconds=SECONDS, unfinished={"found": False})))


if __name__ == "__main__":
    main(*sys.argv[1:])
