"""Records of layers and parameters that were not run, made from those of the block before them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from gradscope.schema import Estimate, LayerProfile, Moments, ParameterProfile

METHOD = "mean-field, extrapolated"
_NUMBER = re.compile(r"\d+")
_LARGEST = 700.0  # logarithm of a factor that a float can hold


class NotPeriodic(Exception):  # noqa: N818 - an outcome, not an error
    """What was run does not show a block that repeats."""


def activation(layer: LayerProfile) -> float:
    """The logarithm of its second moment; NaN where it has none."""
    return _log(layer.activation)


def gradient(layer: LayerProfile) -> float:
    """The logarithm of its second moment; NaN where it has none."""
    return _log(layer.gradient)


def parameter_gradient(parameter: ParameterProfile) -> float:
    """The logarithm of its second moment; NaN where it has none."""
    value = 0.0 if parameter.gradient_rms is None else parameter.gradient_rms.value
    return 2 * math.log(value) if 0 < value < math.inf else math.nan


def _log(moments: Moments | None) -> float:
    value = 0.0 if moments is None else moments.second_moment.value
    return math.log(value) if 0 < value < math.inf else math.nan


def scaled(
    layer: LayerProfile,
    of_activation: float,
    of_gradient: float,
    widths: tuple[float | None, float | None] = (None, None),
) -> LayerProfile:
    """With second moments times e to these powers; nothing changes where a power is not known.

    Args:
        widths: logarithms of how far the intervals of both reach; None leaves them as they are.
    """
    return replace(
        layer,
        activation=_times(layer.activation, of_activation, widths[0]),
        gradient=_times(layer.gradient, of_gradient, widths[1]),
    )


def width(moments: Moments | None) -> float:
    """The logarithm of how far the interval of a second moment reaches; NaN where there is none."""
    moment = None if moments is None else moments.second_moment
    return math.log(moment.high / moment.value) if moment and 0 < moment.value < math.inf else math.nan


def scaled_parameter(parameter: ParameterProfile, of_gradient: float) -> ParameterProfile:
    """With a second moment of the gradient times e to this power."""
    if parameter.gradient_rms is None or not math.isfinite(of_gradient):
        return parameter
    return replace(parameter, gradient_rms=_by(parameter.gradient_rms, of_gradient / 2))


def widened(layer: LayerProfile, log: float) -> LayerProfile:
    """With intervals of extrapolated second moments e^log wider either way."""

    def wider(moments: Moments | None) -> Moments | None:
        if moments is None or moments.second_moment.method != METHOD:
            return moments
        factor = math.exp(min(log, _LARGEST))
        both = (replace(e, low=e.low / factor, high=e.high * factor) for e in (moments.second_moment, moments.variance))
        second_moment, variance = both
        return replace(moments, second_moment=second_moment, variance=variance)

    return replace(layer, activation=wider(layer.activation), gradient=wider(layer.gradient))


def moved(layer: LayerProfile, before: LayerProfile, steps: int) -> LayerProfile:
    """A layer of the last block that was run, `steps` blocks later; `before` is the same of the block before it."""
    node, length = layer.node, layer.node.index - before.node.index
    shared = set(node.inputs) & set(before.node.inputs)  # what every block reads, such as a mask
    names = zip(before.node.parameters, node.parameters, strict=True)
    node = replace(
        node,
        index=node.index + steps * length,
        name=counted_on(before.node.name, node.name, steps),
        path=counted_on(before.node.path, node.path, steps),
        inputs=tuple(i if i in shared else i + steps * length for i in node.inputs),
        parameters=tuple(counted_on(a, b, steps) for a, b in names),
    )
    return replace(layer, node=node)


def counted_on(before: str, now: str, steps: int) -> str:
    """The name that follows: numbers that grew from one block to the next go on growing.

    Raises:
        NotPeriodic: the names have different numbers of numbers.
    """
    old, new = ([int(n) for n in _NUMBER.findall(name)] for name in (before, now))
    if len(old) != len(new):
        raise NotPeriodic
    numbers = iter([n + steps * (n - o) for o, n in zip(old, new, strict=True)])
    return _NUMBER.sub(lambda _: str(next(numbers)), now)


def gain(layers: Sequence[LayerProfile], outputs: Sequence[int]) -> Estimate:
    """Norm of the gradient where data enters over its norm at the output, as wide as the gradient where data enters."""

    def squared(layer: LayerProfile, end: str = "value") -> float:
        moment = None if layer.gradient is None else getattr(layer.gradient.second_moment, end)
        return (moment or 0.0) * math.prod(layer.node.shape)

    end = sum(squared(layers[i]) for i in outputs)
    starts = [x for x in layers if squared(x) and not any(squared(layers[i]) for i in x.node.inputs)]
    if not end or not starts:
        return Estimate.unknown("no gradient path from the output to an input")
    value, low, high = (math.sqrt(sum(squared(x, e) for x in starts) / end) for e in ("value", "low", "high"))
    return Estimate(value, low, high, METHOD, len(starts))


def _times(moments: Moments | None, log: float, reach: float | None) -> Moments | None:
    if moments is None or log == 0.0 or not math.isfinite(log):
        return moments
    return replace(
        moments,
        mean=_by(moments.mean, log / 2),
        variance=_by(moments.variance, log, reach),
        second_moment=_by(moments.second_moment, log, reach),
    )


def _by(estimate: Estimate, log: float, reach: float | None = None) -> Estimate:
    """Times e^log, with an interval that reaches a factor e^reach either way."""
    factor = math.exp(min(log, _LARGEST))
    low, value, high = (factor * v for v in (estimate.low, estimate.value, estimate.high))
    if reach is not None and math.isfinite(reach):
        apart = math.exp(min(reach, _LARGEST))
        low, high = value / apart, value * apart
    return replace(estimate, value=value, low=low, high=high, method=METHOD)
