"""The stages behind `load`, on a model that can be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradscope import diagnose
from gradscope.config import Config
from gradscope.cost import step_seconds, threads_for
from gradscope.pipeline._circumstances import environment, timed
from gradscope.pipeline.options import Options, Progress
from gradscope.raised import words
from gradscope.schema import Attempt, Finding, Gap, LayerGraph, Profile, Report, Subject


def audit(subject: Subject, options: Options, progress: Progress | None = None) -> Report:
    """Measure a subject, predict it beside that, let it take a few steps, judge it and try what may help."""
    config = options.config
    seconds: dict[str, float] = {}

    def findings_of(profile: Profile) -> tuple[Finding, ...]:
        return diagnose.findings(profile, config, select=options.select, ignore=options.ignore)

    def again(changed: Subject) -> tuple[Profile, tuple[Finding, ...]]:
        _, profile = _measured(changed, config)
        return profile, findings_of(profile)

    with timed(seconds, "measure"):
        graph, profile = _measured(subject, config, progress, options.density)
    with timed(seconds, "predict"):
        profile, predicted, unpredicted = _beside(subject, profile, config)
    untried: tuple[Gap, ...] = ()
    if options.trial_steps:
        with timed(seconds, "trial steps"):
            attempts, untried = _attempts(subject, profile, options)
            profile = replace(profile, attempts=attempts)
    findings = findings_of(profile)
    verifications, recipe = (), {}
    if options.prescribe and (findings or subject.batches is not None):
        from gradscope import prescribe

        with timed(seconds, "prescribe"):
            candidates = prescribe.prescriptions(findings, subject, graph, profile, config)
            verifications, recipe = prescribe.verify(
                candidates, subject, (profile, findings), again=again, config=config, progress=progress
            )
    return Report(
        subject=subject.info,
        environment=environment(),
        verdict=diagnose.verdict(profile, findings, config),
        measured=profile,
        predicted=predicted,
        findings=findings,
        verifications=verifications,
        recipe=recipe,
        gaps=(*profile.gaps, *unpredicted, *untried),
        seconds=seconds,
    )


def _measured(
    subject: Subject, config: Config, progress: Progress | None = None, density: Sequence[str] = ()
) -> tuple[LayerGraph, Profile]:
    from gradscope import capture, measure
    from gradscope.borrow import borrowed

    with borrowed(subject.model, training=subject.info.training, seed=subject.info.seed):
        return measure.profile(subject, capture.graph, config, progress, density=density)


def _beside(subject: Subject, measured: Profile, config: Config) -> tuple[Profile, Profile | None, tuple[Gap, ...]]:
    """The measured profile with its distance from theory, the predicted one, and why there is none."""
    from gradscope import predict
    from gradscope.borrow import seeded
    from gradscope.load.failure import our_line

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
        line = our_line(error)
        why = f"theory failed at {line}" if line else "the model does not run without data"
        return measured, None, (Gap("prediction", f"{why}: {words(error)}"),)
    return predict.compared(measured, predicted), predicted, ()


def _attempts(subject: Subject, profile: Profile, options: Options) -> tuple[tuple[Attempt, ...], tuple[Gap, ...]]:
    """What a handful of training steps came to, or the reason why there are none."""
    from gradscope import measure

    config = options.config
    if subject.batches is None and not profile.network["samples"].is_above(config.attempt_samples - 0.5):
        few = f"the example batch has fewer than {config.attempt_samples} samples; give batches"
        return (), (Gap("trial steps", few),)
    step = step_seconds([layer.node for layer in profile.layers], subject.info.trainable_parameters)
    if config.attempt_steps * step > config.attempt_seconds:
        long = f"{config.attempt_steps} of them would take more than {config.attempt_seconds:g} s"
        return (), (Gap("trial steps", long),)
    with threads_for(step):
        return measure.attempts(
            subject,
            steps=config.attempt_steps,
            optimizer=options.tried_optimizer,
            learning_rate=options.learning_rate,
        )
