"""What is found in standard architectures with their own initialization: all of it is a false alarm, or needs a reason."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradscope import capture, diagnose, load, measure, pipeline, predict
from gradscope.borrow import borrowed
from gradscope.config import Config
from gradscope.pytree import map_tensors
from gradscope.schema import Finding, Verdict
from tests.benchmarks._isolated import isolated
from tests.benchmarks._zoo import Built, build, transformers_model

RESULT = Path("reports/benchmarks/false_alarms.md")
ROWS = Path("build/false_alarms.jsonl")  # one line a model that was examined: a run that was cut off goes on
_LARGEST = 90_000_000  # parameters
_LARGE = 3 * 128 * 128  # numbers in a sample whose trial steps would take too long
SECONDS = 900  # a model may take in its own process

_TORCHVISION = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet1_0 "
    "mobilenet_v2 mobilenet_v3_small mobilenet_v3_large resnet18 resnet34 resnet50 "
    "resnext50_32x4d shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t vit_b_32 "
    "wide_resnet50_2"
)
_TIMM = (
    "beit byobnet cait convit convmixer convnext crossvit deit densenet dla efficientformer_v2 efficientnet eva "
    "fasternet focalnet ghostnet hrnet inception_next levit mambaout metaformer mlp_mixer mobilenetv3 mobilevit nfnet "
    "pit pvt_v2 regnet repvit res2net resnest resnet resnetv2 rexnet sequencer sknet swin_transformer tnt twins "
    "visformer vision_transformer volo vovnet xcit"
)
_TRANSFORMERS = (
    "AlbertForMaskedLM BartForConditionalGeneration BertForMaskedLM BloomForCausalLM CanineForSequenceClassification "
    "ConvBertForMaskedLM DebertaV2ForMaskedLM DistilBertForMaskedLM ElectraForMaskedLM FalconForCausalLM "
    "FNetForMaskedLM GPT2LMHeadModel GPTNeoForCausalLM GPTNeoXForCausalLM GPTJForCausalLM "
    "GemmaForCausalLM Gemma2ForCausalLM GraniteForCausalLM LlamaForCausalLM MambaForCausalLM MistralForCausalLM "
    "MixtralForCausalLM MPNetForMaskedLM OlmoForCausalLM OPTForCausalLM PhiForCausalLM Qwen2ForCausalLM "
    "Qwen3ForCausalLM RobertaForMaskedLM SegformerForImageClassification StableLmForCausalLM T5ForConditionalGeneration "
    "ViTForImageClassification ViTMAEForPreTraining XGLMForCausalLM XLNetLMHeadModel XLMRobertaForMaskedLM "
    "DeiTForImageClassification GPTBigCodeForCausalLM RoFormerForMaskedLM CohereForCausalLM"
)
_NAMES = [
    *(f"torchvision:{name}" for name in _TORCHVISION.split()),
    *(f"timm:{name}" for name in _TIMM.split()),
    *(f"transformers:{name}" for name in _TRANSFORMERS.split()),
]
_SIZES = {  # moderate: wide and deep enough to be what their authors initialize
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size"), 256),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim"), 512),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers", "decoder_layers"), 4),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "num_key_value_heads", "num_experts", "num_local_experts"), 4),
    **dict.fromkeys(("vocab_size",), 1000),
    **dict.fromkeys(("head_dim", "d_kv", "rotary_dim"), 64),
    **dict.fromkeys(("image_size",), 64),
}


_LOADED = (capture, load, measure, predict)  # once, before the models' processes are forked


def examine(name: str) -> dict[str, Any]:
    """One model's row: findings, verdict and cost of an audit without remedies and without theory beside it."""
    return _row(name, _audited)


def examine_at_rest(name: str) -> dict[str, Any]:
    """The same from one forward and one backward pass: no Jacobians, no trial steps, a tenth of the cost."""
    return _row(name, _at_rest)


Audit = Callable[[nn.Module, Any], tuple[Verdict, Sequence[Finding]]]


def _row(name: str, audit: Audit) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        model, args, kwargs = _built(name)
    except Exception as error:  # the row says why the model could not be had
        return {"name": name, "unavailable": f"{type(error).__name__}: {error}"[:200]}
    start = time.process_time()
    verdict, findings = audit(model, kwargs or args)
    return {
        "name": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "label": verdict.label,
        "risk": verdict.risk,
        "reason": verdict.reason,
        "basis": verdict.basis,
        "findings": [[f.severity, f.code, f.name, f.message] for f in findings],
        "seconds": time.process_time() - start,
    }


def _audited(model: nn.Module, inputs: Any) -> tuple[Verdict, Sequence[Finding]]:
    report = pipeline.analyze(model, inputs, prescribe=False, config=Config(prediction_seconds=0))
    return report.verdict, report.findings


def _at_rest(model: nn.Module, inputs: Any) -> tuple[Verdict, Sequence[Finding]]:
    config, subject = Config(), load.subject(model, inputs)
    with borrowed(subject.model, training=subject.info.training, seed=subject.info.seed):
        profile = measure.profile(subject, capture.graph, config, has_spectra=False)[1]
    findings = diagnose.findings(profile, config)
    return diagnose.verdict(profile, findings, config), findings


def _built(name: str) -> Built:
    library, model = name.split(":")
    if library != "transformers":
        built, args, kwargs = build(name, _LARGEST)
    else:
        import transformers

        model_class = getattr(transformers, model)
        built, args, kwargs = transformers_model(model_class, model_class.config_class(), _SIZES)
    return built, *map_tensors((args, kwargs), _more)


def _more(few: Tensor) -> Tensor:
    """As many samples of the same kind as trial steps ask for; large ones stay few, and are judged at rest."""
    if few[0].numel() > _LARGE:
        return few
    shape = (Config().attempt_samples, *few.shape[1:])
    if few.is_floating_point():
        return torch.randn(shape, dtype=few.dtype)
    return torch.randint(int(few.min()), int(few.max()) + 1, shape, dtype=few.dtype)


_HOW = {
    "rest": "at rest: without Jacobians and without trial steps.",
    "audit": f"{Config().attempt_samples} samples, fewer where one is large: with Jacobians and, where the samples are "
    "enough and the steps are short, trial steps; without remedies and without theory beside it. Labels that were drawn "
    "can only be learned by heart: where 40 steps do not begin to, the verdict is that at rest.",
}


def table(rows: list[dict[str, Any]], how: str = "audit") -> str:
    """The report: alarms, and everything milder, by code."""
    audited = [r for r in rows if "label" in r]
    errors = [r for r in audited if any(f[0] == "error" for f in r["findings"])]
    unhealthy = [r for r in audited if r["label"] != "healthy"]
    alarms = [r for r in audited if r in errors or r in unhealthy]
    lines = [
        "# False alarms",
        "",
        f"`python -m tests.benchmarks.false_alarms`, {how}, torch {torch.__version__}, 1 thread, "
        f"{sum(r['seconds'] for r in audited) / 60:.0f} minutes of CPU time. Architectures that others have designed, "
        "initialized and trained, drawn anew by their own constructors, audited on small random inputs with random "
        "labels, " + _HOW[how],
        "",
        "| library | models | an error found | verdict not healthy | any of the two |",
        "|---|---|---|---|---|",
    ]
    for library in [*dict.fromkeys(r["name"].split(":")[0] for r in audited), ""]:
        own = [r for r in audited if r["name"].startswith(library)]
        counts = [sum(r in group for r in own) for group in (errors, unhealthy, alarms)]
        shares = " | ".join(f"{n} ({n / max(1, len(own)):.1%})" for n in counts)
        lines.append(f"| {library or '**all**'} | {len(own)} | {shares} |")
    tried = sum(r["basis"].startswith("trial steps") for r in audited)
    lines += ["", f"Of these verdicts {tried} rest on trial steps, {len(audited) - tried} on statics alone."]
    lines += ["", "## Alarms", ""]
    lines += [
        f"- {r['name']}: {r['label']} (risk {r['risk']:.2f}). {_said(r, 'error') or r['reason']} {_said(r, 'warning')}"
        for r in alarms
    ]
    lines += ["", "## Findings by rule", "", "| rule | severity | models | for example |", "|---|---|---|---|"]
    seen = Counter(
        (code, name, severity) for r in audited for severity, code, name in {tuple(f[:3]) for f in r["findings"]}
    )
    for (code, rule, severity), count in sorted(seen.items()):
        model, message = next(
            (r["name"], f[3]) for r in audited for f in r["findings"] if f[:3] == [severity, code, rule]
        )
        lines.append(f"| {code} {rule} | {severity} | {count} | {model}: {message} |")
    left = [f"- {r['name']}: {r.get('unavailable') or r.get('error')}" for r in rows if "label" not in r]
    return "\n".join([*lines, *(["", "## Not examined", "", *left] if left else [])]) + "\n"


def _said(row: dict[str, Any], level: str) -> str:
    return " ".join(
        f"{code} {name}: {message}" for severity, code, name, message in row["findings"] if severity == level
    )


def main(select: str = "", rows: str = str(ROWS), how: str = "audit") -> None:
    """Examine every model whose name contains `select`, those in the file `rows` excepted, and write the report.

    Args:
        select: part of the names.
        rows: where the results are kept, one line a model.
        how: "audit", or "rest" for one forward and one backward pass.
    """
    path = Path(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for name in _NAMES:
        if select in name and not any(r["name"] == name for r in done):
            done.append(isolated(examine_at_rest if how == "rest" else examine, name, seconds=SECONDS))
            print(json.dumps(done[-1]), flush=True)
            with path.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(table(sorted(done, key=lambda r: _NAMES.index(r["name"])), how))


if __name__ == "__main__":
    main(*sys.argv[1:])
