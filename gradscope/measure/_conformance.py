"""The facts of every parameter that initialisation conformance is judged by."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from gradscope.measure._declaration import declarations
from gradscope.measure._draw import draw_of
from gradscope.measure._twin import is_readable
from gradscope.measure._use import unit_dimension, uses
from gradscope.schema import Declaration, Draw, Estimate, LayerGraph, ParameterProfile, Use


def with_conformance(
    profiles: Sequence[ParameterProfile], model: nn.Module, graph: LayerGraph, *, silent: Collection[int], seed: int
) -> tuple[ParameterProfile, ...]:
    """The profiles with what each parameter is for, how it was drawn, what the code declares, and whose copy it is.

    Args:
        profiles: of the model's parameters.
        model: as it was built.
        graph: of its run.
        silent: indices of the layers whose output was exactly zero.
        seed: for running the model's own initializers again, on a twin.
    """
    used = uses(graph, model, silent)
    owners, parameters = dict(_owners(model)), dict(model.named_parameters())
    draws = {name: _draw(p, used.get(name), owners[name]) for name, p in parameters.items()}
    declared = declarations(model, {name: d.std.value for name, d in draws.items() if d is not None}, seed)
    copies = dict(_copies(model))
    return tuple(
        replace(
            profile,
            rms=profile.rms if draw is None else _rms(draw),
            draw=draw,
            use=used.get(profile.name),
            declaration=declared.get(profile.name, Declaration()),
            copy_of=copies.get(profile.name),
        )
        for profile in profiles
        for draw in [draws[profile.name]]
    )


def _draw(parameter: nn.Parameter, use: Use | None, owner: nn.Module) -> Draw | None:
    if not is_readable(parameter):
        return None
    padding = getattr(owner, "padding_idx", None) if use is not None and use.role in ("embedding", "tied") else None
    return draw_of(parameter.detach(), units=unit_dimension(use, parameter, owner), padding=padding)


def _rms(draw: Draw) -> Estimate:
    """Of the parameter as it was built: a head that starts at zero has been drawn anew for the measurement."""
    return Estimate.exact(math.hypot(draw.mean.value, draw.std.value), draw.std.method, draw.std.n)


def _owners(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """(name, module that holds it) of every parameter."""
    for path, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            yield f"{path}.{name}" if path else name, module


def _copies(model: nn.Module) -> Iterator[tuple[str, str]]:
    """(name, name of an earlier parameter with the same elements), of parameters that were drawn.

    Random tensors that agree in shape, first and last element are compared in full.
    """
    seen: dict[tuple[torch.Size, float, float], tuple[str, Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or not is_readable(parameter):
            continue
        flat = parameter.detach().flatten()
        first, last = flat[0].item(), flat[-1].item()
        earlier = seen.setdefault((parameter.shape, first, last), (name, flat))
        if earlier[0] != name and torch.equal(earlier[1], flat) and _is_random(flat):
            yield name, earlier[0]


def _is_random(values: Tensor) -> bool:
    """Whether there are many different numbers, as in a draw and not in an identity or a table of positions."""
    return values.unique().numel() > min(_FEW, values.numel() // 2)


_FEW = 64
