"""The path of the signal through a profile: the layers that everything passes, and gains along them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from gradscope.schema import Estimate, LayerProfile, Profile


def trunk(profile: Profile) -> list[LayerProfile]:
    """The layers that every differentiable path from the data to the main output passes, in order.

    They are the dominators of the output (Cooper, Harvey & Kennedy 2001): a residual branch is not among them,
    the add that ends it is. A layer without a gradient carries no signal that training could use.
    """
    layers = profile.layers
    outputs = main_outputs(profile)
    if not outputs:
        return []
    dominator: dict[int, int] = {}
    for layer in layers:
        parents = [i for i in layer.node.inputs if i in dominator]
        if layer.gradient is not None and (parents or layer.node.kind == "input" or layer.node.inputs):
            dominator[layer.node.index] = _common(parents, dominator) if parents else _ROOT
    chain, node = [], outputs[0]
    while node != _ROOT:
        chain.append(layers[node])
        node = dominator.get(node, _ROOT)
    return [layer for layer in reversed(chain) if layer.node.kind != "input"]


_ROOT = -1  # stands before all layers


def main_outputs(profile: Profile) -> list[int]:
    """The outputs that get a gradient and end there; all that get one where none ends.

    What a model returns beside them, such as the keys and values of a cache, is used further on.
    """
    outputs = [i for i in profile.outputs if profile.layers[i].gradient is not None]
    used = {i for layer in profile.layers if layer.gradient is not None for i in layer.node.inputs}
    return [i for i in outputs if i not in used] or outputs


def _common(nodes: Sequence[int], dominator: dict[int, int]) -> int:
    common = nodes[0]
    for node in nodes[1:]:
        while common != node:
            if common > node:
                common = dominator[common]
            else:
                node = dominator[node]
    return common


def gradient_norm(layer: LayerProfile) -> float:
    """Euclidean norm of the gradient at a layer's output, over the whole batch."""
    if layer.gradient is None:
        return math.nan
    return math.sqrt(layer.gradient.second_moment.value * layer.gradient.second_moment.n)


def activation_rms(layer: LayerProfile) -> float:
    """Root mean square of a layer's output."""
    return math.nan if layer.activation is None else math.sqrt(layer.activation.second_moment.value)


def is_normalization(layer: LayerProfile) -> bool:
    """Whether a layer resets the scale of its input."""
    return "norm" in layer.node.op.lower() and "weight_norm" not in layer.node.op.lower()


def decades(ratio: float) -> float:
    """log10, with zero as minus infinity and NaN kept."""
    return math.log10(ratio) if ratio > 0 else (-math.inf if ratio == 0 else math.nan)


def gradient_decades(profile: Profile) -> tuple[float, list[tuple[float, LayerProfile]]]:
    """Decades of gradient norm gained from the output back to the data, and what every trunk layer adds.

    The change over a trunk layer is log10 of the gradient norm at the trunk layer before it, over the norm at
    its own output. (0, []) where there is nothing to compare, or where the gradient is exactly zero: a branch
    or head that starts at zero on purpose passes none at first.
    """
    path = trunk(profile)
    norms = [gradient_norm(layer) for layer in path]
    if len(path) < 2 or any(n == 0 or not math.isfinite(n) for n in norms):
        return 0.0, []
    steps = [(decades(norms[i] / norms[i + 1]), path[i + 1]) for i in range(len(path) - 1)]
    return decades(norms[0] / norms[-1]), steps


def activation_decades(profile: Profile) -> list[tuple[float, list[tuple[float, LayerProfile]]]]:
    """Decades of rms gained over each stretch of trunk between two normalizations, with every layer's share."""
    found = []
    stretch: list[LayerProfile] = []
    for layer in [*trunk(profile), None]:
        if layer is None or is_normalization(layer):
            rms = [activation_rms(one) for one in stretch]
            if len(stretch) > 1 and all(math.isfinite(r) and r > 0 for r in rms):
                steps = [(decades(rms[i + 1] / rms[i]), stretch[i + 1]) for i in range(len(rms) - 1)]
                found.append((decades(rms[-1] / rms[0]), steps))
            stretch = []
        if layer is not None:
            stretch.append(layer)
    return found


def starts_at_zero(profile: Profile) -> bool:
    """Whether some weight matrix is exactly zero, as zero-initialized heads and branches are."""
    return any(len(p.shape) > 1 and p.rms.is_known and p.rms.value == 0 for p in profile.parameters)


def has_drawn_targets(profile: Profile) -> bool:
    """Whether the loss asks for something drawn, because nothing was given; then the inputs are mostly random too."""
    return any(words in profile.loss for words in _DRAWN)


_DRAWN = ("labels drawn", "targets drawn", "random projection")


def largest_steps(steps: Sequence[tuple[float, LayerProfile]], total: float) -> tuple[str, ...]:
    """The layers that push a change most: each at least half as much as the one that does most, largest first."""
    sign = math.copysign(1.0, total)
    ordered = sorted((s for s in steps if s[0] * sign > 0), key=lambda s: -abs(s[0]))
    return tuple(dict.fromkeys(layer.name for change, layer in ordered if abs(change) >= _HALF * abs(ordered[0][0])))


_HALF = 0.5
_FEW = 4  # layers that a sentence can name


def exact(value: float, method: str = "measured") -> Estimate:
    """A number derived from measured ones."""
    return Estimate.exact(value, method)


def share_of(culprits: Sequence[str], steps: Sequence[tuple[float, LayerProfile]]) -> str:
    """Where most of a change happens, in words: a few layers by name, or one kind of layer all along the way."""
    if len(culprits) <= _FEW:
        return f"most of it at {names(culprits, _FEW)}"
    guilty = [(abs(change), layer.node.op) for change, layer in steps if layer.name in culprits]
    kind, count = Counter(op for _, op in guilty).most_common(1)[0]
    each = sum(change for change, _ in guilty) / len(guilty)
    what = f"its {count} {kind} layers" if count == len(guilty) else f"{len(guilty)} layers, {count} of them {kind}"
    return f"spread over {what}, {each:.2f} decades each"


def names(layers: Sequence[str], limit: int = 3) -> str:
    """A few layer names for a sentence."""
    shown = ", ".join(layers[:limit])
    return shown + (f" and {len(layers) - limit} more" if len(layers) > limit else "")
