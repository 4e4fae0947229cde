"""Chosen layers of three models, solved by this project and by others, with the same accuracy demanded of all."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscope.schema import LayerCall
from gradscope.spectra import Sweep, layer_spectrum
from tests.benchmarks._spectra_models import build
from tests.benchmarks._spectra_peers import (
    FunctionalJacobian,
    arpack,
    curvlinops_norm,
    power_iteration,
    steps_to,
)
from tests.benchmarks._spectra_reference import reference_norm
from tests.benchmarks._stream import stream

TOLERANCE = 1e-2
STEPS = 100  # of the power iteration
WHOLE_BATCH_STEPS = 5  # of the power iteration on the whole batch, whose cost is scaled to STEPS


@dataclass(frozen=True)
class Layer:
    """One call of a module, its input for the whole batch, and its float64 norm."""

    module: nn.Module
    at: Tensor
    truth: float

    def function(self, x: Tensor) -> Tensor:
        """The layer without its hooks."""
        module = self.module
        if isinstance(module, nn.Conv2d):
            return F.conv2d(x, module.weight.detach(), None, module.stride, module.padding)
        if isinstance(module, nn.Linear):
            return F.linear(x, module.weight.detach())
        return x @ module.weight.detach()  # type: ignore[operator]  # transformers' Conv1D

    def jacobian(self, samples: int) -> FunctionalJacobian:
        return FunctionalJacobian(self.function, self.at[:samples].clone())

    def call(self) -> LayerCall:
        output = self.function(self.at)
        return LayerCall(type(self.module).__name__, self.module, self.module, (self.at,), {}, output)


def chosen(name: str, is_wanted: Callable[[nn.Module], bool], count: int) -> list[Layer]:
    """`count` layers of a model, spread evenly over those that are wanted."""
    workload, calls = build(name), []

    def visit(_: str, call: LayerCall) -> None:
        if call.module is not None and is_wanted(call.module):
            calls.append((call.module, call.args[0].clone(), call))

    stream(workload.model, workload.inputs, visit)
    picked = [calls[i * (len(calls) - 1) // (count - 1)] for i in range(count)]
    return [Layer(module, at, reference_norm(call) or 0.0) for module, at, call in picked]


def _seconds(function: Callable[[], object]) -> float:
    start = time.thread_time()
    function()
    return time.thread_time() - start


def _row(title: str, seconds: float, ours: float, unit: float, errors: list[float], note: str = "") -> str:
    times = f"{seconds / ours:.0f}x" if seconds >= 3 * ours else f"{seconds / ours:.1f}x"
    return f"| {title} | {seconds / unit:.2f} | {times} | {max(errors):.2%} | {note} |"


def compare(title: str, layers: list[Layer]) -> list[str]:
    """The rows of one group of layers."""

    def step() -> None:
        for layer in layers:
            x = layer.at.clone().requires_grad_()
            layer.module(x).sum().backward()

    def solve(**options: float | bool) -> list[float]:
        sweep = Sweep(tolerance=TOLERANCE, probability=1e-2, bounds=len(layers), **options)  # type: ignore[arg-type]
        return [layer_spectrum(call, sweep).spectral_norm.value for call in calls]  # type: ignore[union-attr]

    with torch.no_grad():
        calls = [layer.call() for layer in layers]
    truths = [layer.truth for layer in layers]

    def errors(values: list[float]) -> list[float]:
        return [abs(v / t - 1) for v, t in zip(values, truths, strict=True)]

    step(), solve()
    unit = statistics.median(_seconds(step) for _ in range(3))
    ours = statistics.median(_seconds(solve) for _ in range(5))
    rows = [
        f"| **{title}**: to 1 % | {ours / unit:.2f} | 1 | {max(errors(solve())):.2%} | |",
        _row(
            "certified 1 %",
            statistics.median(_seconds(lambda: solve(is_certified=True)) for _ in range(3)),
            ours,
            unit,
            errors(solve(is_certified=True)),
        ),
    ]
    for tolerance in (1e-2, 1e-3):
        found: list[float] = []
        seconds = _seconds(lambda: found.extend(arpack(j.jacobian(1), tolerance) for j in layers))  # noqa: B023
        rows.append(
            _row(
                f"scipy svds (ARPACK, tol {tolerance:g}), torch.func", seconds, ours, unit, errors(found), "one sample"
            )
        )
    histories: list[list[float]] = []
    seconds = _seconds(lambda: histories.extend(power_iteration(j.jacobian(1), STEPS) for j in layers))
    needed = [steps_to(h, t, TOLERANCE) for h, t in zip(histories, truths, strict=True)]
    note = f"one sample; within 1 % after {max(n or STEPS for n in needed)} steps" + ("" if all(needed) else " or more")
    rows.append(
        _row(
            f"power iteration by autograd, {STEPS} steps", seconds, ours, unit, errors([h[-1] for h in histories]), note
        )
    )
    seconds = _seconds(lambda: [power_iteration(j.jacobian(len(j.at)), WHOLE_BATCH_STEPS) for j in layers])
    rows.append(
        f"| the same on the whole batch | {seconds / unit * STEPS / WHOLE_BATCH_STEPS:.0f} | "
        f"{seconds / ours * STEPS / WHOLE_BATCH_STEPS:.0f}x | - | scaled from {WHOLE_BATCH_STEPS} steps |"
    )
    if importlib.util.find_spec("curvlinops"):
        found = []
        seconds = _seconds(lambda: found.extend(curvlinops_norm(j.function, j.at[:1], TOLERANCE) for j in layers[:2]))
        rows.append(
            f"| curvlinops + svds (tol 0.01), first two layers | - | {seconds / len(layers[:2]) / ours * len(layers):.0f}x | "
            f"{max(abs(v / t - 1) for v, t in zip(found, truths, strict=False)):.2%} | one sample; the input made a parameter |"
        )
    print("\n".join(rows), flush=True)
    return rows


def lines() -> list[str]:
    """The section of the report."""

    def is_spatial(module: nn.Module) -> bool:
        return isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)

    resnet = chosen("resnet50", is_spatial, 5) + chosen(
        "resnet50", lambda m: isinstance(m, nn.Conv2d) and not is_spatial(m), 3
    )
    return [
        "## The same layers by other means",
        "",
        "Unit: forward and backward pass of these layers alone on the whole batch. Goal: at least 30 times faster than "
        "svds and 100 times faster than generic power iteration. curvlinops has Jacobians of parameters only, so an "
        "input has to be made one.",
        "",
        "| method | cost | against the first row | largest error | |",
        "|---|---|---|---|---|",
        *compare("ResNet-50, 5 spatial and 3 pointwise convolutions", resnet),
        *compare("MLP, 10 linear layers", chosen("mlp", lambda m: isinstance(m, nn.Linear), 10)),
        *compare("GPT-2, 6 projections", chosen("gpt2", lambda m: type(m).__name__ == "Conv1D", 6)),
    ]
