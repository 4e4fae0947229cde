"""analyze(): the stages in order, on one screen."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import gradscope
from gradscope import config as configuration
from gradscope import diagnose
from gradscope.config import Config
from gradscope.schema import Environment, Finding, LayerGraph, Profile, Report, Subject

if TYPE_CHECKING:
    from torch import Tensor, nn

Progress = Callable[[str, float], None]


def analyze(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any = None,
    *,
    targets: Any = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    batches: Callable[[int], Iterable[tuple[Any, Any]]] | None = None,
    seed: int = 0,
    training: bool = True,
    prescribe: bool = True,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    config: Config | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Audit a model: will it train, where does the signal go wrong, and what helps?

    Args:
        model: a module, or a function without arguments that builds one.
        inputs: a tensor, a tuple of positional or a dict of keyword inputs; found by itself if None.
        targets: what the loss compares with.
        loss: maps (output, targets) to a scalar; chosen from the output if None.
        batches: seed -> an iterable of (inputs, targets), for trials on real data.
        seed: of everything random.
        training: analyse in train mode, which is what training will see.
        prescribe: try remedies for what was found.
        select: codes or names of the diagnostics to run; all if empty.
        ignore: codes or names of diagnostics to leave out.
        config: thresholds and budgets; those of the nearest pyproject.toml if None.
        on_progress: is told (stage, fraction done).

    Raises:
        GradscopeError: the model, its inputs or its loss cannot be analysed, and why.
    """
    from gradscope import load

    subject = load.subject(model, inputs, targets=targets, loss=loss, batches=batches, seed=seed, training=training)
    return audit(subject, prescribe=prescribe, select=select, ignore=ignore, config=config, on_progress=on_progress)


def audit(
    subject: Subject,
    *,
    prescribe: bool = True,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    config: Config | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """The stages behind `load`, on a subject that can be run."""
    config = config or configuration.load(Path.cwd())
    progress = on_progress or (lambda stage, fraction: None)
    seconds: dict[str, float] = {}

    def examine(examined: Subject, report: Progress | None = None) -> tuple[LayerGraph, Profile, tuple[Finding, ...]]:
        graph, profile = _measure(examined, config, report)
        return graph, profile, diagnose.findings(profile, config, select=select, ignore=ignore)

    with _timed(seconds, "measure"):
        graph, profile, findings = examine(subject, progress)
    verifications, recipe = (), {}
    if prescribe and findings:
        from gradscope import prescribe as remedies

        with _timed(seconds, "prescribe"):
            candidates = remedies.prescriptions(findings, subject, graph, profile, config)
            verifications, recipe = remedies.verify(
                candidates,
                subject,
                (profile, findings),
                again=lambda changed: examine(changed)[1:],
                config=config,
                progress=progress,
            )
    return Report(
        subject=subject.info,
        environment=_environment(),
        verdict=diagnose.verdict(profile, findings, config),
        measured=profile,
        predicted=None,
        findings=findings,
        verifications=verifications,
        recipe=recipe,
        gaps=profile.gaps,
        seconds=seconds,
    )


def analyze_target(
    target: str,
    *,
    inputs: Sequence[str] = (),
    loss: str | None = None,
    weights: str | None = None,
    seed: int = 0,
    training: bool = True,
    prescribe: bool = True,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    config: Config | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Audit what a command line names, in a process of its own with limits on time and memory.

    Raises:
        GradscopeError: the target cannot be loaded or run, and why.
    """
    from gradscope import load

    config = config or configuration.load(Path.cwd())
    arguments = {
        "target": target,
        "inputs": list(inputs),
        "loss": loss,
        "weights": weights,
        "seed": seed,
        "training": training,
        "prescribe": prescribe,
        "select": list(select),
        "ignore": list(ignore),
        "config": asdict(config),
    }
    result = load.run_isolated(
        "gradscope.pipeline:analyze_in_child",
        arguments,
        timeout=config.timeout,
        memory_gib=config.memory,
        on_progress=on_progress,
    )
    return msgspec.msgpack.decode(result, type=Report)


def analyze_in_child(arguments: dict[str, Any], progress: Progress) -> bytes:
    """The work of `analyze_target`, inside the child process."""
    from gradscope import load

    request = msgspec.convert(arguments["config"], Config)
    subject = load.subject(
        arguments["target"],
        input_specs=arguments["inputs"],
        loss_name=arguments["loss"],
        weights=arguments["weights"],
        seed=arguments["seed"],
        training=arguments["training"],
    )
    report = audit(
        subject,
        prescribe=arguments["prescribe"],
        select=arguments["select"],
        ignore=arguments["ignore"],
        config=request,
        on_progress=progress,
    )
    return msgspec.msgpack.encode(report)


def _measure(subject: Subject, config: Config, progress: Progress | None) -> tuple[LayerGraph, Profile]:
    from gradscope import capture, measure
    from gradscope.borrow import borrowed

    with borrowed(subject.model, training=subject.info.training, seed=subject.info.seed):
        return measure.profile(subject, capture.graph, config, progress)


def _environment() -> Environment:
    import torch

    return Environment(
        gradscope=gradscope.__version__,
        python=platform.python_version(),
        torch=str(torch.__version__),
        platform=f"{platform.system()} {platform.machine()}",
        threads=torch.get_num_threads(),
    )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - start
