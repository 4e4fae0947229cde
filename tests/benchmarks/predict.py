"""Holds predicted profiles against measured ones: bits of error of second moments, and how often the band is right."""

from __future__ import annotations

import importlib
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradscope import predict
from gradscope.pytree import main_tensor, map_tensors
from gradscope.schema import Estimate, Profile
from tests.benchmarks._prediction_models import cases

RESULTS = Path("reports/benchmarks/predict.md")
SEEDS = 5
_NOTHING = 1e-24  # a second moment below this is zero: a head initialized to zero, a gradient that cancels
_MINUTES = 15  # one model may take, in its own process

Samples = dict[str, list[float]]


def measured(build: Any, make_inputs: Any, seeds: int) -> tuple[Samples, Samples]:
    """Second moments of every module's output and of its gradient, one number a seed; the loss is <r, y>."""
    activations: Samples = defaultdict(list)
    gradients: Samples = defaultdict(list)
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = build()
        calls: dict[str, int] = defaultdict(int)

        def hook(name: str, output: Any, calls: dict[str, int] = calls) -> None:
            tensor = main_tensor(output)
            if tensor is None or not tensor.is_floating_point():
                return
            key = f"{name}#{calls[name]}"
            calls[name] += 1
            activations[key].append(_second_moment(tensor))
            if tensor.requires_grad:
                tensor.register_hook(lambda gradient: gradients[key].append(_second_moment(gradient)))

        for name, module in model.named_modules():
            module.register_forward_hook(lambda _m, _i, output, name=name: hook(name, output))
        output = main_tensor(_run(model, make_inputs()))
        assert output is not None
        (output * torch.randn_like(output)).sum().backward()
    return activations, gradients


def predicted(build: Any, make_inputs: Any) -> tuple[Profile, float]:
    """The profile, and the CPU seconds it took."""
    torch.manual_seed(0)
    inputs = map_tensors(make_inputs(), lambda t: t.to("meta") if t.is_floating_point() else t)
    given = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    start = time.process_time()
    return predict.profile(predict.forward(predict.plan(build), *given)), time.process_time() - start


def examine(name: str, seeds: int = SEEDS) -> dict[str, Any]:
    """One model: errors in bits, and the share of the measured values inside the band."""
    torch.set_num_threads(1)
    build, make_inputs = cases()[name]
    profile, seconds = predicted(build, make_inputs)
    row: dict[str, Any] = {"name": name, "seconds": seconds, "fallbacks": profile.network["fallback_share"].value}
    layers = {f"{layer.name}#{layer.node.call}": layer for layer in profile.layers}
    for what, samples in zip(("activation", "gradient"), measured(build, make_inputs, seeds), strict=True):
        moments = {key: getattr(layer, what) for key, layer in layers.items()}
        known = {key: m.second_moment for key, m in moments.items() if m is not None}
        row[what] = _compare(known, samples)
    return row


def _compare(estimates: dict[str, Estimate], samples: Samples) -> dict[str, Any]:
    errors: list[float] = []
    inside: list[float] = []
    worst = (0.0, "")
    for key, values in samples.items():
        estimate = estimates.get(key)
        if estimate is None or min(values) < _NOTHING or estimate.value < _NOTHING:
            continue
        typical = math.exp(statistics.fmean(map(math.log, values)))
        error = math.log2(estimate.value / typical)
        errors.append(abs(error))
        inside.append(statistics.fmean(estimate.low <= v <= estimate.high for v in values))
        worst = max(worst, (abs(error), f"{key} {error:+.2f}"))
    return {"errors": errors, "inside": statistics.fmean(inside) if inside else math.nan, "worst": worst[1]}


def _second_moment(tensor: Tensor) -> float:
    return float(tensor.detach().double().square().mean())


def _run(model: nn.Module, inputs: Any) -> Any:
    return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


_HEADING = (
    "# Predicted against measured",
    "",
    f"`python -m tests.benchmarks predict`: real initialization, random input, {SEEDS} seeds, loss <r, y> with r ~ N(0, 1).",
    "Errors are |log2(predicted / measured)| of second moments at module outputs: median, 90th percentile, and the share",
    "of single measurements inside the predicted band (typical value, two standard deviations either way). Measured is",
    "the geometric mean over seeds.",
    "",
)


# --- shapes that no laptop holds ---------------------------------------------------------------------

_LLAMA = {"vocab_size": 128256, "num_key_value_heads": 8, "max_position_embeddings": 8192, "rope_theta": 5e5}
_SIZES: dict[str, tuple[int, dict[str, Any]]] = {  # tokens, configuration
    "GPT-2": (64, {}),
    "Llama 70B": (
        2048,
        {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64},
    ),
    "Llama 405B": (
        2048,
        {"hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126, "num_attention_heads": 128},
    ),
}


def size(name: str) -> str:
    """One row: what a prediction of this shape costs, on one thread, beyond the import."""
    import transformers

    torch.set_num_threads(1)
    tokens, shape = _SIZES[name]
    if shape:
        configuration = transformers.LlamaConfig(**_LLAMA, **shape)
        build: Any = lambda: transformers.LlamaForCausalLM(configuration)  # noqa: E731
    else:
        build = lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config())  # noqa: E731
    transformers.LlamaForCausalLM, transformers.GPT2LMHeadModel  # noqa: B018 - imported before the clock starts
    inputs = {"input_ids": torch.randint(1, 1000, (1, tokens)), "use_cache": False}
    importlib.import_module("torch._dynamo")  # torch does it by itself on the first meta tensor
    start = time.process_time()
    profile = predict.profile(predict.forward(predict.plan(build), (), inputs))
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parameters = sum(math.prod(p.shape) for p in profile.parameters)
    return f"| {name} | {parameters / 1e9:.1f} billion | {tokens} | {seconds:.1f} | {peak:.0f} |"


# --- the table ---------------------------------------------------------------------------------------


def table(rows: Sequence[dict[str, Any]], sizes: Sequence[str], failures: Sequence[str]) -> str:
    """The report."""
    lines = [
        *_HEADING,
        "| model | layers | activation | gradient | no rule | CPU s | worst gradient |",
        "|" + "---|" * 7,
    ]
    pooled: dict[str, list[float]] = {"activation": [], "gradient": []}
    for row in rows:
        cells = [row["name"], str(len(row["activation"]["errors"]))]
        for what in pooled:
            pooled[what] += row[what]["errors"]
            cells.append(f"{_quantiles(row[what]['errors'])}, {row[what]['inside']:.0%}")
        cells += [f"{row['fallbacks']:.1%}", f"{row['seconds']:.1f}", row["gradient"]["worst"]]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *_families(rows)]
    medians = {what: [_median(r[what]["errors"]) for r in rows] for what in pooled}
    tails = {what: [_tail(r[what]["errors"]) for r in rows] for what in pooled}
    total = {what: _quantiles(errors) for what, errors in pooled.items()}
    lines += ["", f"{len(rows)} models. All layers: activation {total['activation']}, gradient {total['gradient']}."]
    for what, median, tail in (("activation", 0.05, 0.2), ("gradient", 0.15, 0.5)):
        good = sum(m <= median and t <= tail for m, t in zip(medians[what], tails[what], strict=True))
        lines.append(f"{what}: {good} of {len(rows)} models have median <= {median} and p90 <= {tail} bits.")
    lines += ["", "| shape | parameters | tokens | CPU s | peak MiB |", "|---|---|---|---|---|", *sizes]
    if failures:
        lines += ["", "Not predicted:", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


_GOALS = {"activation": (0.05, 0.2), "gradient": (0.15, 0.5)}
_TRANSFORMER_GOALS = {"activation": (0.05, 0.2), "gradient": (0.05, 0.2)}


def _family(name: str) -> str:
    if name.startswith("MLP"):
        return "perceptrons"
    is_convolutional = any(word in name for word in ("net", "vgg", "resne", "densenet", "convnext"))
    return "convolutional" if is_convolutional else "mixers" if "mixer" in name else "transformers"


def _families(rows: Sequence[dict[str, Any]]) -> list[str]:
    """All layers of a family together: median and 90th percentile, share inside the band, and the goals."""
    lines = ["| family | models | activation | goal | gradient | goal |", "|" + "---|" * 6]
    families = [*sorted({_family(row["name"]) for row in rows}), "all"]
    for family in families:
        members = [row for row in rows if family in ("all", _family(row["name"]))]
        goals = _TRANSFORMER_GOALS if family == "transformers" else _GOALS
        cells = [family, str(len(members))]
        for what, (median, tail) in goals.items():
            errors = [error for row in members for error in row[what]["errors"]]
            known = [row[what] for row in members if row[what]["errors"]]
            layers = sum(len(x["errors"]) for x in known)
            inside = sum(x["inside"] * len(x["errors"]) for x in known) / max(1, layers)
            is_met = _median(errors) <= median and _tail(errors) <= tail and inside >= 0.9
            goal = f"{median}, {tail}, 90% {'met' if is_met else 'missed'}"
            cells += [f"{_quantiles(errors)}, {inside:.0%}", goal]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _median(errors: Sequence[float]) -> float:
    return statistics.median(errors) if errors else 0.0


def _tail(errors: Sequence[float]) -> float:
    return statistics.quantiles(errors, n=10)[-1] if len(errors) > 1 else max(errors, default=0.0)


def _quantiles(errors: Sequence[float]) -> str:
    return f"{_median(errors):.3f}, {_tail(errors):.3f}"


def main(select: str = "") -> None:
    """Examine every model whose name contains `select`, each in a process of its own, and write the table."""
    rows, failures = [], []
    sizes = [_in_process(f"size:{name}") for name in _SIZES] if not select else []
    for name in cases():
        if select not in name:
            continue
        try:
            rows.append(_in_process(name))
        except subprocess.CalledProcessError as error:
            failures.append(f"{name}: {error.stderr.strip().splitlines()[-1][:200]}")
        except subprocess.TimeoutExpired:
            failures.append(f"{name}: more than {_MINUTES} minutes")
        else:
            moments = {k: _quantiles(rows[-1][k]["errors"]) for k in ("activation", "gradient")}
            print(name, moments, f"{rows[-1]['seconds']:.1f} s", flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(table(rows, sizes, failures), encoding="utf-8")


def _in_process(name: str) -> Any:
    command = [sys.executable, "-m", "tests.benchmarks.predict", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * _MINUTES, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    wanted = sys.argv[1]
    print(json.dumps(size(wanted.removeprefix("size:")) if wanted.startswith("size:") else examine(wanted)))
