"""How a perturbation of the input grows on its way through the layers: the rms gain of every prefix of the network."""

from __future__ import annotations

import math

import torch
from scipy.stats import chi2

from gradscope.config import Config
from gradscope.measure._operators import effort, ends
from gradscope.measure._tangents import Replay, Tangents
from gradscope.measure._trace import Trace
from gradscope.schema import Estimate, LayerGraph, Run

_LEVEL = 0.99


def prefix_gains(graph: LayerGraph, run: Run, trace: Trace, config: Config, seed: int) -> dict[str, Estimate]:
    """√(‖Jₗ‖²_F / n) of the Jacobian Jₗ from the n entries of the input to every layer, by the layer's name.

    Random tangents are carried through the recorded run once each, so that all prefixes cost one pass together:
    E |Jₗ v|² = ‖Jₗ‖²_F for normal v. The interval is that of χ² with as many degrees of freedom as there are tangents,
    which is right for a Jacobian of rank one and wide for all others. A layer that is called several times has its
    last call's; layers behind a call that cannot be replayed are unknown, and say why.
    """
    found = ends(graph, run)
    if found is None:
        return {}
    sources, last = found
    starts = [trace.outputs[i] for i in sources]
    columns = sum(tensor.numel() for tensor, _ in starts)
    first, (end, stop) = min(position for _, position in starts), trace.outputs[last]
    carry = Replay(trace.steps[first:stop], end, is_watched=True)
    places: dict[int, list[tuple[str, int]]] = {}
    for node in graph.nodes:
        if node.index in trace.outputs:
            tensor, position = trace.outputs[node.index]
            places.setdefault(position - first - 1, []).append((node.name, id(tensor)))
    squares: dict[str, list[float]] = {}
    carried, reason = 0, ""

    def watch(step: int, tangents: Tangents) -> None:
        nonlocal carried
        carried = step + 1
        for name, tensor in places.get(step, ()):
            tangent = tangents.get(tensor)
            if tangent is not None:
                squares.setdefault(name, []).append(torch.linalg.vector_norm(tangent).item() ** 2)

    generator = torch.Generator().manual_seed(seed)
    for _ in range(effort(trace, config)[1]):
        seeds = {id(t): torch.randn(t.shape, generator=generator, dtype=t.dtype).to(t.device) for t, _ in starts}
        try:
            carry(seeds, watch)
        except RuntimeError as error:  # a call has no forward derivative, or runs on no kernel that has one
            reason = f"no tangent: {str(error).splitlines()[0]}"
            break
    behind = {name for step, placed in places.items() if reason and step >= carried for name, _ in placed}
    return {name: _gain(values, columns) for name, values in squares.items() if name not in behind} | {
        name: Estimate.unknown(reason) for name in behind
    }


def _gain(squares: list[float], columns: int) -> Estimate:
    """√(mean / columns) with its interval."""
    count = len(squares)
    value = math.sqrt(sum(squares) / count / columns)
    if not math.isfinite(value):
        return Estimate.unknown("hutchinson", "nonfinite")
    low, high = (math.sqrt(count / chi2.ppf(p, count)) for p in ((1 + _LEVEL) / 2, (1 - _LEVEL) / 2))
    return Estimate(value, value * low, value * high, "hutchinson", count)
