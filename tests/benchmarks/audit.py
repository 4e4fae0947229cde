"""What an audit without prescriptions costs, in units of one forward and backward pass of the same model and batch."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

RESULTS = Path("reports/benchmarks/audit.md")
REPEATS = 3
MODELS = {
    "ResNet-50, 224 px, batch 4": ("ResNetForImageClassification", "ResNetConfig", {}, (4, 3, 224, 224)),
    "ViT-B/16, 224 px, batch 4": ("ViTForImageClassification", "ViTConfig", {"num_labels": 1000}, (4, 3, 224, 224)),
    "GPT-2 small, 128 tokens, batch 4": ("GPT2LMHeadModel", "GPT2Config", {"use_cache": False}, (4, 128)),
}


def examine(name: str, what: str) -> dict[str, float]:
    """Seconds of CPU time and MB of peak memory above the built model of one kind of work, in this process."""
    import torch
    import transformers

    import gradscope
    from gradscope.config import Config

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model_class, config_class, options, shape = MODELS[name]
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**options)).train()
    inputs = torch.randn(shape) if len(shape) > 2 else torch.randint(0, 1000, shape)

    def train() -> None:
        model(inputs).logits.float().logsumexp(-1).mean().backward()
        model.zero_grad(set_to_none=True)

    def audit(trial_steps: bool, prediction_seconds: float) -> None:
        config = Config(prediction_seconds=prediction_seconds)
        gradscope.analyze(model, inputs, prescribe=False, trial_steps=trial_steps, config=config)

    work: Callable[[], None] = {
        "train": train,
        "measure": lambda: audit(False, 0.0),
        "predict": lambda: audit(False, Config().prediction_seconds),
        "audit": lambda: audit(True, Config().prediction_seconds),
    }[what]
    base = _peak()
    seconds = []
    for _ in range(REPEATS + 1):  # the first warms up, and shows the peak
        start = time.thread_time()
        work()
        seconds.append(time.thread_time() - start)
    return {"seconds": statistics.median(seconds[1:]), "megabytes": _peak() - base}


def main() -> None:
    """Measure each model in processes of its own and write the table."""
    rows = [
        "| model | forward + backward, CPU s | measurement and verdict, times | with theory beside it | "
        "with trial steps | peak memory, times |",
        "|---|---|---|---|---|---|",
    ]
    for name in MODELS:
        train, *audits = (_in_process(name, what) for what in ("train", "measure", "predict", "audit"))
        times = " | ".join(f"{audit['seconds'] / train['seconds']:.1f}" for audit in audits)
        memory = max(audit["megabytes"] for audit in audits) / train["megabytes"]
        rows.append(f"| {name} | {train['seconds']:.2f} | {times} | {memory:.2f} |")
        print(rows[-1], flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    heading = "# The cost of an audit\n\n`python -m tests.benchmarks.audit`: one thread, CPU time, median of 3. "
    heading += "The goal is 6 times for the measurement of a ResNet-50, and 1.5 times its memory.\n"
    RESULTS.write_text(heading + "\n" + "\n".join(rows) + "\n", encoding="utf-8")


def _in_process(name: str, what: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.audit", name, what]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(examine(*sys.argv[1:])))
    else:
        main()
