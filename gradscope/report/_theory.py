"""What theory says beside, or instead of, a measurement: the same facts for every format."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from gradscope.report._scale import depth_layers, rms
from gradscope.report._words import brief, count, number, share
from gradscope.schema import Estimate, LayerProfile, Profile, Report

_ROWS = 8  # layers of the table, spread evenly over the depth
_KINDS = ("activation", "gradient")
_FORMATS = ("float16", "bfloat16", "float32")


@dataclass(frozen=True, slots=True)
class Beside:
    """Scales of one layer: measured and predicted, None where unknown."""

    name: str
    activation: float | None
    predicted_activation: float | None
    gradient: float | None
    predicted_gradient: float | None


def facts(report: Report) -> list[tuple[str, str]]:
    """Name and words of what is known from theory; nothing if there is no prediction."""
    if report.predicted is None:
        return []
    return [*_coverage(report.predicted), *_agreement(report), *_depth_law(report.predicted)]


def beside(report: Report, *, rows: int = _ROWS) -> list[Beside]:
    """Measured and predicted scales of some layers from input to output; nothing unless there are both."""
    if report.predicted is None or report.measured is None:
        return []
    twins = predicted_layers(report)
    known = [x for x in depth_layers(report.measured) if (x.name, x.node.call) in twins]
    chosen = known if len(known) <= rows else [known[round(i * (len(known) - 1) / (rows - 1))] for i in range(rows)]
    return [scales(layer, twins[layer.name, layer.node.call]) for layer in chosen]


def scales(layer: LayerProfile, twin: LayerProfile | None) -> Beside:
    """One layer of the measured profile and the same of the predicted one."""
    known = (None, None) if twin is None else (rms(twin.activation), rms(twin.gradient))
    return Beside(layer.name, rms(layer.activation), known[0], rms(layer.gradient), known[1])


def predicted_layers(report: Report) -> dict[tuple[str, int], LayerProfile]:
    """The predicted layers by name and call."""
    layers = report.predicted.layers if report.predicted is not None else ()
    return {(x.name, x.node.call): x for x in layers}


def _coverage(predicted: Profile) -> list[tuple[str, str]]:
    guessed = predicted.network.get("fallback_share")
    if guessed is None:
        return []
    ran = predicted.network.get("blocks_run")
    part = "every layer" if ran is None else f"{ran.value:,.0f} of {ran.n:,} equal blocks, the others extrapolated"
    rules = f"{share(1 - guessed.value)} of {guessed.n:,} operator calls by a rule, without running them"
    return [("predicted", part), ("operators", rules)]


def _agreement(report: Report) -> list[tuple[str, str]]:
    """How far the measurement lies from theory, if both are there."""
    if report.measured is None:
        return []
    found = []
    for kind in _KINDS:
        bits = [e for x in report.measured.layers if (e := x.quantities.get(f"{kind}_surprise")) is not None]
        if bits:
            inside = sum(e.low <= 0 <= e.high for e in bits)
            typical = 2 ** (statistics.median(abs(e.value) for e in bits) / 2) - 1
            what = f"typically {share(typical)} off in rms, {inside} of {count(len(bits), 'layer')} inside the band"
            found.append((f"{kind}s", what))
    return found


def _depth_law(predicted: Profile) -> list[tuple[str, str]]:
    network = predicted.network
    found = []
    gains = {kind: network.get(f"block_{kind}_gain") for kind in _KINDS}
    if any(gains.values()):
        each = ", ".join(f"{kind} rms times {brief(gain, digits=4)}" for kind, gain in gains.items() if gain)
        found.append(("per block", each))
    depths = {
        "variance settles over": network.get("variance_depth_scale"),
        "samples merge or part over": network.get("correlation_depth_scale"),
        "gradient changes by e over": network.get("gradient_depth_scale"),
    }
    known = [f"{words} {_amount(e)} blocks" for words, e in depths.items() if e is not None and e.is_known]
    if known:
        found.append(("depth scales", "; ".join(known)))
    for kind in _KINDS:
        for end in ("overflow", "underflow"):
            limits = {f: network.get(f"{kind}_{end}_depth_{f}") for f in _FORMATS}
            told = [f"{f} {_after(e)}" for f, e in limits.items() if e is not None]
            if told:
                found.append((f"{kind} {end}", "with more blocks: " + ", ".join(told)))
    return found


def _after(depth: Estimate) -> str:
    return f"after {_amount(depth)}" if depth.value >= 1 else "already"


def _amount(depth: Estimate) -> str:
    return f"{depth.value:,.0f}" if 1 <= depth.value < math.inf else number(depth.value, digits=2)
