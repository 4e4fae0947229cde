"""Hand-made reports: a healthy one, a sick one, a deep one, and one full of numbers that are not there."""

from __future__ import annotations

import math

from gradscope.schema import (
    Block,
    BlockProfile,
    Coverage,
    Environment,
    Estimate,
    Finding,
    Gap,
    LayerNode,
    LayerProfile,
    Moments,
    ParameterProfile,
    Prescription,
    Profile,
    Report,
    SubjectInfo,
    Threshold,
    Trial,
    Verdict,
    Verification,
)

ENVIRONMENT = Environment("0.1.0", "3.11.7", "2.13.0", "Linux x86_64", 2)
SECONDS = {"load": 1.2, "capture": 0.05, "measure": 0.31, "spectra": 0.4, "diagnose": 0.002, "prescribe": 4.1}
CODE = "\n".join(
    (
        "for module in model.modules():",
        "    if isinstance(module, torch.nn.Linear):",
        "        torch.nn.init.orthogonal_(module.weight, gain=5 / 3, generator=generator)  # follows a tanh each time",
        "        torch.nn.init.zeros_(module.bias)",
    )
)


def number(value: float, *, spread: float = 0.0) -> Estimate:
    if not math.isfinite(value):
        return Estimate.exact(value, "measured")
    return Estimate(value, value - abs(value) * spread, value + abs(value) * spread, "measured", 64)


def moments(rms: float) -> Moments:
    return Moments(
        mean=number(0.0),
        variance=number(rms * rms),
        second_moment=number(rms * rms),
        absolute_maximum=number(4 * rms),
        zero_fraction=number(0.0),
        nonfinite_fraction=number(0.0 if math.isfinite(rms) else 1.0),
    )


def layer(index: int, name: str, *, activation: float, gradient: float, gain: float = 1.0, op="Linear") -> LayerProfile:
    node = LayerNode(
        index=index,
        name=name,
        kind="module",
        op=op,
        path=name,
        call=0,
        inputs=(index - 1,) if index else (),
        shape=(16, 64),
        dtype="float32",
        parameters=(f"{name}.weight", f"{name}.bias") if op == "Linear" else (),
        fan_in=64 if op == "Linear" else None,
        fan_out=64 if op == "Linear" else None,
        source=f"model.py:{10 + index}",
        block="layers.2" if index == 2 else None,
    )
    return LayerProfile(
        node, moments(activation), moments(gradient), number(1.9 * gain, spread=0.004), number(gain), {}
    )


def report_of(layers: tuple[LayerProfile, ...], verdict: Verdict, **changes) -> Report:
    profile = Profile(
        origin="measured",
        layers=layers,
        network={
            "initial_loss": number(2.31),
            "expected_loss": number(2.303),
            "jacobian_spectral_norm": number(1.7, spread=0.1),
            "gradient_gain": number(0.9),
        },
        parameters=tuple(
            ParameterProfile(name, (64, 64), number(0.07), number(0.01)) for x in layers for name in x.node.parameters
        ),
        blocks=(BlockProfile(Block("layers.2", "branch", 1, 2, (2,)), number(1.4, spread=0.1), number(1.1)),),
        coverage=Coverage(len(layers), len(layers), 1.0, "runtime tape"),
        outputs=(len(layers) - 1,),
    )
    parts = {
        "subject": SubjectInfo(
            target="model.py:make_model()",
            class_name="Tower",
            parameters=118_282,
            trainable_parameters=118_282,
            inputs="float32 [16, 64]",
            inputs_from="example_inputs() in model.py",
            loss="cross-entropy against labels drawn with the seed, 10 classes",
            seed=0,
            dtype="float32",
            device="cpu",
            training=True,
        ),
        "environment": ENVIRONMENT,
        "verdict": verdict,
        "measured": profile,
        "predicted": None,
        "findings": (),
        "verifications": (),
        "recipe": {},
        "gaps": (),
        "seconds": SECONDS,
    }
    return Report(**{**parts, **changes})


def healthy() -> Report:
    """Six layers that keep their scale in both directions."""
    layers = tuple(layer(i, f"layers.{i}", activation=1.02**i, gradient=0.01 * 0.98**i) for i in range(6))
    return report_of(
        layers,
        Verdict("healthy", 0.03, "The gradient keeps its scale within a factor of 1.1, back to the first layer."),
    )


def trial(final: float, *, rate: float) -> Trial:
    curve = tuple(2.303 + (final - 2.303) * step / 40 for step in range(41))
    return Trial("SGD", 40, 3, (0.01, 0.1), rate, number(2.303), number(final, spread=0.05), curve)


def sick(depth: int = 30) -> Report:
    """A tower whose gradient shrinks by 0.55 a layer; findings of all severities, remedies good and bad."""
    layers = tuple(
        layer(i, f"layers.{2 * i}", activation=0.9**i, gradient=0.02 * 0.55 ** (depth - 1 - i), gain=0.55)
        for i in range(depth)
    )
    names = tuple(x.name for x in layers)
    limit = Threshold(-0.1, "decades per layer", "Schoenholz et al. 2017: depth scale of the signal")
    findings = (
        Finding(
            "GS103",
            "collapsed-correlation",
            "info",
            names[-4:],
            "All samples point the same way after the last layers.",
            {"correlation": number(0.97)},
            Threshold(0.95, "cosine", "measured on healthy models"),
            "victim",
        ),
        Finding(
            "GS201",
            "vanishing-gradient",
            "error",
            names,
            f"The gradient shrinks by a factor of 0.55 a layer on its way back: {names[0]} receives 3e-8 of the last.",
            {"slope": number(-0.26, spread=0.05), "first / last": number(3e-8)},
            limit,
            "culprit",
            "model.py:10",
        ),
        Finding(
            "GS401",
            "unexpected-initial-loss",
            "warning",
            (),
            "The loss before training is below that of guessing.",
            {"initial_loss": number(2.1), "expected_loss": number(2.303)},
            None,
            "network",
        ),
    )
    gain = {"gradient_gain": number(3e-8)}
    good = Prescription(
        "orthogonal-init", ("GS201", "GS103"), names, CODE, "unsafe", "An orthogonal matrix keeps every direction."
    )
    bad = Prescription("clip-threshold", ("GS201",), (), "clip(1.0)", "safe", "Limits the step.")
    also = Prescription("xavier-init", ("GS201",), names, "xavier()", "unsafe", "Keeps the variance both ways.")
    verifications = (
        Verification(bad, False, gain, gain, trial(2.301, rate=0.01), trial(2.302, rate=0.1), "the loss did not fall"),
        Verification(
            good,
            True,
            {**gain, "GS201_findings": number(1.0), "GS103_findings": number(1.0)},
            {"gradient_gain": number(0.83), "GS201_findings": number(0.0), "GS103_findings": number(0.0)},
            trial(2.301, rate=0.01),
            trial(0.41, rate=0.1),
            "3 of 3 seeds train",
        ),
        Verification(also, True, gain, {"gradient_gain": number(0.4)}, None, trial(1.07, rate=0.1), "2 of 3 seeds"),
    )
    return report_of(
        layers,
        Verdict("vanishing", 0.97, "Each layer multiplies the gradient by 0.55, so the first layers hardly learn."),
        findings=findings,
        verifications=verifications,
        recipe={
            "clip": {"max_norm": 1.2, "clipped": 0.04, "code": "clip_grad_norm_(model.parameters(), 1.2)"},
            "learning_rate": {"value": number(0.1), "for": "SGD"},
        },
        gaps=(Gap("layers.7.foo", "unknown function foo"),),
    )


def broken() -> Report:
    """Every way in which a number can be missing, unicode and hostile names, and no layer with a gradient."""
    unknown = Estimate.unknown("lanczos", "not-converged")
    good = layer(0, "编码器.层[0]", activation=1.0, gradient=1.0)
    hostile = layer(1, "weird[bold]\x1b[31mname", activation=math.nan, gradient=math.inf)
    zero = layer(2, "blocks." * 12 + "αβγ", activation=0.0, gradient=0.0, op="ReLU")
    bare = LayerProfile(zero.node)
    unsure = LayerProfile(good.node, moments(1.0), None, unknown, unknown, {})
    finding = Finding(
        "GS402",
        "nonfinite-value",
        "error",
        (hostile.name,),
        "The first value that is not finite comes out of weird[bold]\x1b[31mname.",
        {"share": Estimate.exact(math.nan), "bound": unknown, "maximum": Estimate.exact(math.inf)},
        None,
        "culprit",
        None,
    )
    return report_of(
        (good, hostile, zero, bare, unsure), Verdict("unknown", math.nan, "A value is not finite."), findings=(finding,)
    )


ALL = {"healthy": healthy, "sick": sick, "deep": lambda: sick(200), "broken": broken}
