"""Starts at zero, or nearly so, that are meant: what they take away comes back with the first steps."""

from __future__ import annotations

from itertools import pairwise

from gradscope.config import Config
from gradscope.diagnose._draws import SUMMING
from gradscope.diagnose._signal import decades, gradient_norm, trunk
from gradscope.schema import ParameterProfile, Profile


def has_zero_weight(profile: Profile) -> bool:
    """Whether a weight that sums over its inputs is exactly zero; where roles are unknown, whether any matrix is."""
    return any(p.rms.is_known and p.rms.value == 0 and _is_weight(p) for p in profile.parameters)


def _is_weight(parameter: ParameterProfile) -> bool:
    return len(parameter.shape) > 1 if parameter.use is None else parameter.use.role in SUMMING


def meant_decades(profile: Profile, config: Config) -> float:
    """Decades of gradient that scales of branches take away where no path leads round them.

    A layer scale (Touvron et al. 2021, arXiv:2103.17239) multiplies a residual branch with 1e-1 to 1e-6 at first. The
    identity beside it carries the signal, unless that is a token of the model's own, which only listens to the data
    through such branches. Of what is lost between two layers of the trunk, as much is meant as the largest of the
    small scales between them takes away, and soon learned back.
    """
    scales = small_scales(profile, config)
    scaled = {layer.node.index: scales[n] for layer in profile.layers for n in layer.node.parameters if n in scales}
    if not scaled:
        return 0.0
    starts = [layer for layer in profile.layers if layer.node.kind == "input" and layer.gradient is not None]
    meant = 0.0
    for before, layer in pairwise([*starts[:1], *trunk(profile)]):
        between = [scale for i, scale in scaled.items() if before.node.index < i < layer.node.index]
        left = gradient_norm(before) / gradient_norm(layer) if between and gradient_norm(layer) > 0 else 1.0
        if 0 < left < 1:
            meant += min(-decades(left), -decades(max(between)))
    return meant


def small_scales(profile: Profile, config: Config) -> dict[str, float]:
    """The parameters that scale branches by a small number, and the number."""
    return {p.name: abs(p.draw.mean.value) for p in profile.parameters if p.draw is not None and _is_small(p, config)}


def _is_small(parameter: ParameterProfile, config: Config) -> bool:
    """Whether a parameter scales channels by one small number, the same for all."""
    draw, use = parameter.draw, parameter.use
    if draw is None or use is None or use.role != "other" or use.follower != "add" or draw.std.n < 2:
        return False
    return draw.std.value <= draw.mean.value * _ROUNDING and 0 < draw.mean.value <= config.small_scale.value


_ROUNDING = 1e-6  # relative
