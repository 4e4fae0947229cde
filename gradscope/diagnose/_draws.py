"""Comparing draws: when two standard deviations agree, which parameters are siblings, and naming many of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from gradscope.config import Config
from gradscope.diagnose._signal import names
from gradscope.schema import Estimate, LayerProfile, ParameterProfile, Profile, Severity


def agrees(drawn: Estimate, declared: Estimate, kurtosis: Estimate, config: Config) -> bool:
    """Whether a draw's standard deviation can be that of another draw of the same shape."""
    if drawn.value == 0 or declared.value == 0:
        return drawn.value == declared.value
    allowed = max(math.log1p(config.conforming_deviation.value), uncertainty(drawn.n, kurtosis, config))
    return abs(math.log(drawn.value / declared.value)) <= allowed


def uncertainty(elements: int, kurtosis: Estimate, config: Config) -> float:
    """How far the logarithms of two draws' standard deviations may lie apart by chance.

    The logarithm of a standard deviation from n elements has the variance (kurtosis - 1) / (4 n); two draws have two
    of them (Kenney & Keeping 1951, 7.8).
    """
    shape = max(kurtosis.value, 2.0) if kurtosis.is_known else 3.0  # of a normal draw where nothing is known
    return config.conforming_errors.value * math.sqrt((shape - 1) / (2 * elements))


def family(name: str) -> str:
    """A parameter's name with a star for every index of a layer: the same for all siblings."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def families(parameters: Iterable[ParameterProfile]) -> str:
    """The parameters in words: whole families by their starred names."""
    return names(tuple(dict.fromkeys(family(p.name) for p in parameters)), 3)


def layer_of(parameter: ParameterProfile, profile: Profile) -> LayerProfile | None:
    """The layer that uses a parameter."""
    return None if parameter.use is None else profile.by_name.get(parameter.use.layer)


def used(profile: Profile, roles: Sequence[str]) -> list[ParameterProfile]:
    """The parameters with a known draw that serve one of these roles."""
    return [p for p in profile.parameters if p.draw is not None and p.use is not None and p.use.role in roles]


def beyond(
    parameters: Iterable[ParameterProfile], measure: Callable[[ParameterProfile], float], limit: float
) -> list[tuple[ParameterProfile, float]]:
    """The parameters of which a measure is above a limit, each with it, the largest first."""
    measured = [(parameter, measure(parameter)) for parameter in parameters]
    return sorted((pair for pair in measured if pair[1] > limit), key=lambda pair: -pair[1])


def worse(is_error: bool) -> Severity:
    """An error where training cannot work, else a warning."""
    return "error" if is_error else "warning"


SUMMING = ("matrix", "residual", "head", "unembedding", "tied", "router", "recurrent")
