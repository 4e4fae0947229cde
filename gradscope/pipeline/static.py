"""The stages of an audit from theory alone: the model is built on the meta device, and no data is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradscope import diagnose
from gradscope.pipeline._circumstances import environment, timed
from gradscope.pipeline.options import Options, Progress
from gradscope.schema import GradscopeError, Report

if TYPE_CHECKING:
    from torch import nn


def foresee(
    target: str | nn.Module | Callable[[], nn.Module],
    options: Options,
    inputs: Any = None,
    *,
    input_specs: Sequence[str] = (),
    loss_name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Build a target without memory, predict its profile and judge that.

    Args:
        target: a module, a function that builds one, or text that names one.
        options: how it is audited; nothing is tried and nothing prescribed.
        inputs: of which only the shapes count.
        input_specs: shapes such as "8,3,224,224".
        loss_name: as torch.nn.functional calls it.
        settings: replaces values of a configuration, or arguments of the function, that the target names.
        progress: is told (stage, fraction done).

    Raises:
        GradscopeError: the model cannot be built or run without data, and why.
    """
    from torch import nn

    from gradscope import load, predict

    if options.density:
        raise GradscopeError("A density is measured, a static analysis measures nothing: leave one of them out.")
    report = progress or (lambda stage, fraction: None)
    config, seed, training = options.config, options.seed, options.training
    seconds: dict[str, float] = {}
    with timed(seconds, "build"):
        report("build", 0.0)
        blueprint = load.blueprint(target, seed, settings)
        given = blueprint.existing if isinstance(target, nn.Module) else None
        plan = predict.plan(blueprint.build) if given is None else predict.twin(given)
        model = plan.model.train(training)
    with timed(seconds, "predict"):
        report("predict", 0.2)
        sketch = predict.Sketch(plan, config.prediction_blocks)
        example, run = load.run_by_shape(blueprint, model, sketch.forward, inputs, input_specs, seed=seed)
        loss, words = predict.loss_of(run, loss_name)
        report("predict", 0.7)
        profile = sketch.profile(run, loss=loss)
    findings = diagnose.findings(profile, config, select=options.select, ignore=options.ignore)
    return Report(
        subject=load.described(model, example, blueprint.name, words, seed=seed, training=training),
        environment=environment(),
        verdict=diagnose.verdict(profile, findings, config),
        measured=None,
        predicted=profile,
        findings=findings,
        verifications=(),
        recipe={},
        gaps=profile.gaps,
        seconds=seconds,
    )
