"""What capture with all per-layer statistics costs, in units of one forward and backward pass of the same model."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradscope import capture
from gradscope.borrow import borrowed, seeded
from gradscope.measure._instruments import Instruments
from gradscope.pytree import main_tensor
from tests.benchmarks._cost import peak_of, seconds_of
from tests.benchmarks._isolated import survey
from tests.capture.checks import subject_of

RESULTS = Path("reports/benchmarks/moments.md")
SECONDS = 300  # a model may take in its own process
REPEATS = 3
LARGE = 40  # MB of peak memory of the plain pass, above which a model counts
BATCH, SIDE, LENGTH = 2, 224, 128
HUGGING_FACE = (
    *("gpt2", "bert", "roberta", "distilbert", "electra", "opt", "gpt_neox", "vit", "deit", "beit", "swin", "convnext"),
    *("resnet", "mobilenet_v2", "segformer", "poolformer", "regnet", "dinov2"),
)
TORCHVISION = (
    *("alexnet", "vgg11_bn", "vgg16", "resnet18", "resnet50", "resnet101", "resnext50_32x4d", "wide_resnet50_2"),
    *("densenet121", "googlenet", "inception_v3", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_large", "mnasnet1_0"),
    *("shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "regnet_x_800mf"),
    *("convnext_tiny", "swin_t", "swin_v2_t", "vit_b_16", "maxvit_t"),
)


def names() -> list[str]:
    """The models, as "library:name"."""
    return [*(f"transformers:{n}" for n in HUGGING_FACE), *(f"torchvision:{n}" for n in TORCHVISION)]


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A model in its usual size, and a batch."""
    library, kind = name.split(":")
    if library == "torchvision":
        import torchvision

        side = 299 if kind == "inception_v3" else SIDE
        options = {"aux_logits": False, "init_weights": True} if kind in ("googlenet", "inception_v3") else {}
        return torchvision.models.get_model(kind, weights=None, **options), torch.randn(BATCH, 3, side, side)
    import transformers

    config = transformers.AutoConfig.for_model(kind)
    model = transformers.AutoModel.from_config(config)
    if hasattr(config, "vocab_size"):
        return model, torch.randint(2, config.vocab_size, (BATCH, LENGTH))
    return model, torch.randn(BATCH, 3, SIDE, SIDE)


def examine(name: str) -> dict[str, Any]:
    """Times and peaks of the plain pass and of the one with statistics."""
    torch.set_num_threads(1)
    with seeded(0):
        try:
            model, inputs = build(name)
        except Exception as error:  # the row says why the model could not be had
            return {"name": name, "unavailable": f"{type(error).__name__}: {error}"[:200]}
    subject = replace(subject_of(model, inputs), loss=lambda output, _: main_tensor(output).square().mean())

    def plain() -> None:
        model.train()
        subject.loss(model(inputs), None).backward()
        model.zero_grad(set_to_none=True)

    def measured() -> None:
        with borrowed(model, training=True, seed=0):
            instruments = Instruments(BATCH, sweep=None)
            graph, run = capture.graph(subject, instruments)
            parameters = [p for p in model.parameters() if p.requires_grad]
            torch.autograd.grad(subject.loss(run.output, None), [*parameters, *run.inputs], allow_unused=True)
            instruments.layers(graph.nodes)

    works: tuple[Callable[[], None], ...] = (plain, measured)
    peaks = [peak_of(work) for work in works]
    seconds = [statistics.median(seconds_of(work) for _ in range(REPEATS)) for work in works]
    return {"name": name, "seconds": seconds, "megabytes": peaks}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    done = [r for r in rows if "seconds" in r]
    large = [r for r in done if r["megabytes"][0] > LARGE]
    times = [r["seconds"][1] / r["seconds"][0] for r in large]
    peaks = [r["megabytes"][1] / r["megabytes"][0] for r in large]
    lines = [
        "# The cost of capture with all per-layer statistics",
        "",
        f"`python -m tests.benchmarks.moments`, torch {torch.__version__}, 1 thread, training mode, models in their "
        f"usual size, batch {BATCH}, {SIDE} pixels or {LENGTH} tokens; CPU time, median of {REPEATS}. The unit is one "
        f"forward and backward pass; models whose plain pass peaks above {LARGE} MB.",
        "",
        "| | goal | reached |",
        "|---|---|---|",
        f"| CPU time, median | 2 | {statistics.median(times):.2f} |",
        f"| CPU time, 90th percentile | 3 | {statistics.quantiles(times, n=10)[-1]:.2f} |",
        f"| peak memory, median | 1.1 | {statistics.median(peaks):.2f} |",
        f"| peak memory, 90th percentile | 1.6 | {statistics.quantiles(peaks, n=10)[-1]:.2f} |",
        "",
        f"| model ({len(large)}) | forward + backward, CPU s | with statistics, times | peak, MB | times |",
        "|---|---|---|---|---|",
    ]
    for row, time, peak in zip(large, times, peaks, strict=True):
        lines.append(
            f"| {row['name']} | {row['seconds'][0]:.2f} | {time:.2f} | {row['megabytes'][0]:.0f} | {peak:.2f} |"
        )
    lines += ["", *(f"- {r['name']}: {r.get('unavailable', r.get('error'))}" for r in rows if "seconds" not in r)]
    return "\n".join(lines).rstrip() + "\n"


def main(select: str = "") -> None:
    """Measure every model whose name contains `select` and write the table."""
    chosen = [name for name in names() if select in name]
    RESULTS.write_text(table(survey(examine, chosen, seconds=SECONDS)))


if __name__ == "__main__":
    main(*sys.argv[1:])
