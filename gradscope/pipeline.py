"""analyze(): the stages in order, on one screen."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import gradscope
from gradscope import config as configuration
from gradscope import diagnose
from gradscope.config import Config
from gradscope.cost import step_seconds, threads_for
from gradscope.schema import Attempt, Environment, Finding, Gap, GradscopeError, LayerGraph, Profile, Report, Subject

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
    trial_steps: bool = True,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    static: bool = False,
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
        trial_steps: take a handful of training steps on copies for the verdict.
        optimizer: "sgd" or "adam", which training will use; both are tried if None.
        learning_rate: which training will use; a few are tried if None.
        static: predict everything from theory: the model is built without data on the meta device, never run, and
            of the inputs only the shapes count.
        select: codes or names of the diagnostics to run; all if empty.
        ignore: codes or names of diagnostics to leave out.
        config: thresholds and budgets; those of the nearest pyproject.toml if None.
        on_progress: is told (stage, fraction done).

    Raises:
        GradscopeError: the model, its inputs or its loss cannot be analysed, and why.
    """
    from gradscope import load

    if static:
        if loss is not None or targets is not None or batches is not None:
            raise GradscopeError("A static analysis sees no data: leave out loss, targets and batches.")
        return foresee(
            model,
            inputs,
            seed=seed,
            training=training,
            select=select,
            ignore=ignore,
            config=config,
            on_progress=on_progress,
        )
    subject = load.subject(model, inputs, targets=targets, loss=loss, batches=batches, seed=seed, training=training)
    return audit(
        subject,
        prescribe=prescribe,
        trial_steps=trial_steps,
        optimizer=optimizer,
        learning_rate=learning_rate,
        select=select,
        ignore=ignore,
        config=config,
        on_progress=on_progress,
    )


def audit(
    subject: Subject,
    *,
    prescribe: bool = True,
    trial_steps: bool = True,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    config: Config | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """The stages behind `load`, on a subject that can be run."""
    config = config or configuration.load(Path.cwd())
    optimizer = optimizer or config.optimizer
    config = replace(config, optimizer=optimizer)
    progress = on_progress or (lambda stage, fraction: None)
    seconds: dict[str, float] = {}

    def examine(examined: Subject, report: Progress | None = None) -> tuple[LayerGraph, Profile, tuple[Finding, ...]]:
        graph, profile = _measure(examined, config, report)
        return graph, profile, diagnose.findings(profile, config, select=select, ignore=ignore)

    with _timed(seconds, "measure"):
        graph, profile = _measure(subject, config, progress)
    with _timed(seconds, "predict"):
        profile, predicted, unpredicted = _beside(subject, profile, config)
    untried: tuple[Gap, ...] = ()
    if trial_steps:
        with _timed(seconds, "trial steps"):
            attempts, untried = _attempts(subject, profile, config, optimizer, learning_rate)
            profile = replace(profile, attempts=attempts)
    findings = diagnose.findings(profile, config, select=select, ignore=ignore)
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
        predicted=predicted,
        findings=findings,
        verifications=verifications,
        recipe=recipe,
        gaps=(*profile.gaps, *unpredicted, *untried),
        seconds=seconds,
    )


def foresee(
    target: str | nn.Module | Callable[[], nn.Module],
    inputs: Any = None,
    *,
    input_specs: Sequence[str] = (),
    loss_name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    training: bool = True,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    config: Config | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Audit a model from theory alone: it is built on the meta device, nothing is allocated and no data is read.

    Raises:
        GradscopeError: the model cannot be built or run without data, and why.
    """
    from torch import nn

    from gradscope import load, predict

    config = config or configuration.load(Path.cwd())
    progress = on_progress or (lambda stage, fraction: None)
    seconds: dict[str, float] = {}
    with _timed(seconds, "build"):
        progress("build", 0.0)
        blueprint = load.blueprint(target, seed, settings)
        plan = predict.twin(target) if isinstance(target, nn.Module) else predict.plan(blueprint.build)
        model = plan.model.train(training)
    with _timed(seconds, "predict"):
        progress("predict", 0.2)
        example, run = load.run_by_shape(
            blueprint, model, lambda args, kwargs: predict.forward(plan, args, kwargs), inputs, input_specs, seed=seed
        )
        loss, words = predict.loss_of(run, loss_name)
        progress("predict", 0.7)
        profile = predict.profile(run, loss=loss)
    findings = diagnose.findings(profile, config, select=select, ignore=ignore)
    return Report(
        subject=load.described(model, example, blueprint.name, words, seed=seed, training=training),
        environment=_environment(),
        verdict=diagnose.verdict(profile, findings, config),
        measured=None,
        predicted=profile,
        findings=findings,
        verifications=(),
        recipe={},
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
    trial_steps: bool = True,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    static: bool = False,
    settings: Mapping[str, Any] | None = None,
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

    if static and weights is not None:
        raise GradscopeError("A static analysis reads no weights: leave out --weights or --static.")
    config = config or configuration.load(Path.cwd())
    arguments = {
        "target": target,
        "inputs": list(inputs),
        "loss": loss,
        "weights": weights,
        "seed": seed,
        "training": training,
        "prescribe": prescribe,
        "trial_steps": trial_steps,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "static": static,
        "settings": dict(settings or {}),
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
    if arguments["static"]:
        report = foresee(
            arguments["target"],
            input_specs=arguments["inputs"],
            loss_name=arguments["loss"],
            settings=arguments["settings"],
            seed=arguments["seed"],
            training=arguments["training"],
            select=arguments["select"],
            ignore=arguments["ignore"],
            config=request,
            on_progress=progress,
        )
        return msgspec.msgpack.encode(report)
    subject = load.subject(
        arguments["target"],
        input_specs=arguments["inputs"],
        loss_name=arguments["loss"],
        weights=arguments["weights"],
        seed=arguments["seed"],
        training=arguments["training"],
        settings=arguments["settings"],
    )
    report = audit(
        subject,
        prescribe=arguments["prescribe"],
        trial_steps=arguments["trial_steps"],
        optimizer=arguments["optimizer"],
        learning_rate=arguments["learning_rate"],
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


def _attempts(
    subject: Subject, profile: Profile, config: Config, optimizer: str | None, learning_rate: float | None
) -> tuple[tuple[Attempt, ...], tuple[Gap, ...]]:
    """What a handful of training steps came to, or the reason why there are none."""
    from gradscope import measure

    if subject.batches is None and not profile.network["samples"].is_above(config.attempt_samples - 0.5):
        few = f"the example batch has fewer than {config.attempt_samples} samples; give batches"
        return (), (Gap("trial steps", few),)
    step = step_seconds([layer.node for layer in profile.layers], subject.info.trainable_parameters)
    if config.attempt_steps * step > config.attempt_seconds:
        long = f"{config.attempt_steps} of them would take more than {config.attempt_seconds:g} s"
        return (), (Gap("trial steps", long),)
    with threads_for(step):
        return measure.attempts(subject, steps=config.attempt_steps, optimizer=optimizer, learning_rate=learning_rate)


def _beside(subject: Subject, measured: Profile, config: Config) -> tuple[Profile, Profile | None, tuple[Gap, ...]]:
    """The measured profile with its distance from theory, the predicted one, and why there is none."""
    from gradscope import predict
    from gradscope.borrow import seeded

    limit = config.prediction_seconds
    if limit <= 0:
        return measured, None, ()
    try:
        with seeded(subject.info.seed):
            plan = predict.twin(subject.model)
            plan.model.train(subject.info.training)
            run = predict.forward(plan, subject.args, subject.kwargs, seconds=limit)
            predicted = predict.profile(run, loss=predict.measured_loss(run, measured))
    except predict.TooSlow:
        return measured, None, (Gap("prediction", f"theory beside it would take more than {limit:g} s of CPU time"),)
    except Exception as error:  # whatever the model's code does without data is an answer
        reason = f"the model does not run without data: {type(error).__name__}: {error}".split(chr(10))[0]
        return measured, None, (Gap("prediction", reason),)
    return predict.compared(measured, predicted), predicted, ()


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
