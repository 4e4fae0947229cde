"""Weights of equal shape solved in one batch, ahead of the pass: on a GPU the launch of a product is its cost.

On a CPU one matrix at a time is faster, since it stays in the cache from one product to the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from gradscope.spectra._matrix import each_norm, is_iterated, real, squared_norm
from gradscope.spectra._replay import full_precision
from gradscope.spectra._sweep import Sweep

_LARGEST = 2**28  # entries of one batch, a copy of its weights


def solve_together(model: nn.Module, sweep: Sweep, *, devices: Sequence[str] = ("cuda",)) -> None:
    """Solve all dense layers of a model whose weights have the same shape, so that the pass finds them done.

    Args:
        model: its Linear layers and transformers' Conv1D are looked at; nothing is run.
        sweep: the pass that is to come.
        devices: types of device on which it pays.
    """
    groups: dict[tuple[object, ...], list[Tensor]] = defaultdict(list)
    for weight in _matrices(model):
        if weight.device.type in devices and is_iterated(weight):
            groups[tuple(weight.shape), weight.dtype, weight.device].append(weight)
    with torch.no_grad(), full_precision():
        for weights in groups.values():
            size = max(1, _LARGEST // weights[0].numel())
            for at in range(0, len(weights), size):
                _solve(weights[at : at + size], sweep)


def _matrices(model: nn.Module) -> Iterator[Tensor]:
    """Every weight once, as its layer's rule reads it: (outputs, inputs)."""
    seen = set()
    for module in model.modules():
        name, weight = type(module).__name__, getattr(module, "weight", None)
        if name not in ("Linear", "Conv1D") or not isinstance(weight, nn.Parameter) or id(weight) in seen:
            continue
        seen.add(id(weight))
        yield weight if name == "Linear" else weight.mT


def _solve(weights: Sequence[Tensor], sweep: Sweep) -> None:
    finite = [w for w in weights if bool(torch.isfinite(w).all())]  # the pass itself tells the others
    if len(finite) > 1:
        norms = each_norm(torch.stack([real(w) for w in finite]), sweep)
        for weight, norm in zip(finite, norms, strict=True):
            sweep.keep(weight, "matrix", (norm, squared_norm(weight)))
