"""How every initialization is written: one loop for each group of layers that share a gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gradscope.prescribe._remedy import Case
from gradscope.prescribe._text import condition, indented, names
from gradscope.prescribe._weights import WeightLayer

Body = Callable[[Sequence[WeightLayer], str], list[str]]

LOST = 1e-3
"""Share of the mean squared gradient that must survive all activations for an initialization to be worth a try."""


def drawable(case: Case) -> tuple[WeightLayer, ...]:
    """The layers whose scale matters: all but those that a norm follows. None if no scale can keep the gradient.

    With weights that keep the activations, each layer multiplies the mean squared gradient by chi (0.15 for a
    sigmoid): over many such layers it is lost whatever the weights are.
    """
    layers = tuple(layer for layer in case.weights if layer.follower.kind != "norm")
    chis = [layer.source.scaling.chi for layer in layers if layer.source.scaling]
    return layers if math.prod(min(chi, 1.0) for chi in chis) > LOST else ()


def groups(layers: Sequence[WeightLayer]) -> dict[tuple[str, str], list[WeightLayer]]:
    """Layers by gain, as it is printed, and layout of the weight."""
    found: dict[tuple[str, str], list[WeightLayer]] = {}
    for layer in layers:
        found.setdefault((f"{layer.gain:.4g}", layer.fan_in), []).append(layer)
    return found


def loops(case: Case, layers: Sequence[WeightLayer], body: Body) -> str:
    """For each gain a loop over its layers that runs `body` on every `module`."""
    return "\n".join(loop(case, group, body(group, gain)) for (gain, _), group in groups(layers).items())


def loop(case: Case, layers: Sequence[WeightLayer], lines: Sequence[str]) -> str:
    """A loop over exactly these layers."""
    test = condition(case.model, [layer.name for layer in layers])
    return f"for name, module in model.named_modules():\n    if {test}:\n{indented(lines, 2)}"


def without_bias(layers: Sequence[WeightLayer]) -> list[str]:
    """Lines that set the biases to zero, where there are any."""
    biases = [getattr(layer.module, "bias", None) is not None for layer in layers]
    if all(biases):
        return ["torch.nn.init.zeros_(module.bias)"]
    return ["if module.bias is not None:", "    torch.nn.init.zeros_(module.bias)"] if any(biases) else []


def why(layers: Sequence[WeightLayer]) -> str:
    """The gains and what they make up for, as a clause: "gain 1.593 after Tanh (29 layers), 1 elsewhere"."""
    parts = []
    for (gain, _), group in groups(layers).items():
        ops = list(dict.fromkeys(layer.source.op for layer in group if layer.gain != 1.0))
        where = f"after {names(ops)}" if ops else "elsewhere"
        parts.append(f"{gain} {where} ({len(group)} {'layer' if len(group) == 1 else 'layers'})")
    return "gain " + ", ".join(parts)
