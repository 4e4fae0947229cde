"""`gradscope analyze TARGET`: audit a model before training."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from gradscope import config as configuration
from gradscope.cli._command import Exit, command
from gradscope.cli._output import plan
from gradscope.cli._progress import progress
from gradscope.report import FORMATS
from gradscope.schema import SEVERITIES, Report

_FORMATS = sorted(FORMATS.load())
_PRECISION = click.Choice(["fp32", "bf16", "fp16"])


@command
@click.command()
@click.argument("target")
@click.option("--input", "inputs", multiple=True, metavar="SHAPE[:DTYPE]", help="Example input, e.g. 8,3,224,224.")
@click.option("--loss", metavar="NAME", help="Loss, as torch.nn.functional calls it.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Weights to load into the model.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, inputs, labels and trials.")
@click.option("--eval", "is_eval", is_flag=True, help="Audit in evaluation mode.")
@click.option("--static", "is_static", is_flag=True, help="Predict from theory: no weights, no data, no run.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change the configuration or a call.")
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), help="What training will use.  [default: both tried]")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), metavar="RATE", help="Learning rate of training.")
@click.option("--precision", type=_PRECISION, metavar="FORMAT", help="Number format of training: fp32, bf16, fp16.")
@click.option("--trial-steps/--no-trial-steps", default=True, help="Take a few training steps on copies.")
@click.option("--no-prescribe", is_flag=True, help="Do not look for remedies.")
@click.option("--select", multiple=True, metavar="RULES", help="Only these codes (GS2: all that begin so) or names.")
@click.option("--ignore", multiple=True, metavar="RULES", help="None of these codes or names.")
@click.option(
    "--fail-on",
    type=click.Choice([*SEVERITIES, "never"]),
    metavar="SEVERITY",
    default="error",
    show_default=True,
    help=f"Mildest one that gives exit status 1: {', '.join(SEVERITIES)} or never.",
)
@click.option(
    "--format",
    type=click.Choice(_FORMATS),
    metavar="NAME",
    help=f"What to print: {', '.join(_FORMATS)}.  [default: terminal]",
)
@click.option(
    "-o",
    "--output",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a file too, in the format of its suffix; may be repeated.",
)
@click.option(
    "--tol",
    "tolerance",
    type=click.FloatRange(1e-5, 0.1),
    metavar="SHARE",
    help="Relative error allowed in a spectral norm.  [default: 0.01]",
)
@click.option("--certify", is_flag=True, help="Close the bounds of every spectral norm to that error.")
@click.option(
    "--density",
    multiple=True,
    metavar="PATTERN",
    help="Density of log singular values of these layers, e.g. 'layer1.*'; 'network' is the whole.",
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Limit for the model.")
@click.option("--memory", type=click.FloatRange(min=0, min_open=True), metavar="GIB", help="Limit for the model.")
def analyze(
    target: str,
    inputs: tuple[str, ...],
    loss: str | None,
    weights: Path | None,
    seed: int,
    is_eval: bool,
    is_static: bool,
    settings: tuple[str, ...],
    optimizer: str | None,
    lr: float | None,
    precision: str | None,
    trial_steps: bool,
    no_prescribe: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str,
    format: str | None,
    files: tuple[Path, ...],
    tolerance: float | None,
    certify: bool,
    density: tuple[str, ...],
    timeout: float | None,
    memory: float | None,
) -> int:
    """Audit a model before training: will its gradients explode, vanish or carry no information?

    \b
    TARGET is one of
      model.py                  make_model(), build(), model
                                or its one nn.Module class
      model.py:Name(depth=30)   what the file calls so
      package.module:make(k=1)  the same of a module
      hf:gpt2, hf:config.json   from a configuration, offline
      timm:NAME                 where timm is installed
      torchvision:NAME          where torchvision is

    With --static the model is built without memory, and activations, gradients and gains are predicted from theory:
    `analyze hf:llama --set num_hidden_layers=126 --input 1,2048 --static` needs no weights and no accelerator.

    The model runs in a process of its own, with limits. That is isolation, not a sandbox: audit only code
    that you would run.
    """
    from gradscope.cli._owner import check_owner
    from gradscope.load.target import setting
    from gradscope.pipeline import Options, Request, analyze_target

    check_owner()
    output = plan(format, files)
    overrides = {
        "optimizer": optimizer,
        "precision": precision,
        "spectral_tolerance": tolerance,
        "is_certified": certify or None,
        "timeout": timeout,
        "memory": memory,
    }
    config = configuration.override(
        configuration.load(Path.cwd()), {key: value for key, value in overrides.items() if value is not None}
    )
    options = Options(
        config,
        seed=seed,
        training=not is_eval,
        prescribe=not no_prescribe,
        trial_steps=trial_steps,
        learning_rate=lr,
        select=_patterns(select),
        ignore=_patterns(ignore),
        density=density,
    )
    request = Request(
        target,
        options,
        inputs=inputs,
        loss=loss,
        weights=str(weights) if weights else None,
        settings=dict(setting(text) for text in settings),
        is_static=is_static,
    )
    with progress() as on_progress:
        report = analyze_target(request, on_progress)
    output.put(report)
    return status(report, fail_on)


def _patterns(words: tuple[str, ...]) -> tuple[str, ...]:
    """Codes, beginnings of codes and names; a word may be a list with commas."""
    return tuple(part.strip() for word in words for part in word.split(",") if part.strip())


def status(report: Report, fail_on: str) -> Exit:
    """Whether a finding is at or above `fail_on`."""
    if fail_on == "never":
        return Exit.CLEAN
    limit = SEVERITIES.index(fail_on)
    return Exit.FINDINGS if any(SEVERITIES.index(f.severity) >= limit for f in report.findings) else Exit.CLEAN
