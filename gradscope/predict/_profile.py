"""Tables and gradients -> the Profile record."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from gradscope.predict._axes import average_pairs
from gradscope.predict._bands import Bands, Fluctuation, combined
from gradscope.predict._depth import depth_law
from gradscope.predict._grid import grid
from gradscope.predict._layers import Layer
from gradscope.predict._loss import Seed
from gradscope.predict._spectra import Drawn, rms_gain, spectral_norm
from gradscope.predict._table import Table, agreeing_average, pair_average, point_average
from gradscope.predict._trace import Trace
from gradscope.schema import Coverage, Estimate, Gap, LayerNode, LayerProfile, Moments, ParameterProfile, Profile

if TYPE_CHECKING:
    from gradscope.predict._run import Forward

METHOD = "mean-field"
FORWARD_CLOSURE = 0.02  # standard deviation of ln of what the Gaussian closure itself may be off, forward ...
BACKWARD_CLOSURE = 0.06  # ... and backward


def assemble(run: Forward, seed: Seed) -> Profile:
    """Everything that was predicted, as one record."""
    layers, trace, outputs = run.layers, run.trace, run.outputs
    bands = Bands([layer.table for layer in layers.list if layer.table is not None])
    profiles = tuple(_layer(layer, bands, trace.initial.find) for layer in layers.list)
    parameters = _parameters(run.plan.model, trace)
    reached = sum(math.prod(p.shape) for p in parameters if p.trainable and p.gradient_rms is not None)
    trainable = sum(math.prod(p.shape) for p in parameters if p.trainable)
    fallbacks = trace.fallbacks
    network = {
        **depth_law(layers.list),
        "gradient_norm": gradient_norm(parameters),
        "gradient_gain": _gradient_gain(layers.list, outputs, bands),
        "output_variation": _output_variation(layers.list, outputs),
        "initial_loss": _known(seed.initial_loss),
        "expected_loss": _known(seed.expected_loss),
        "fallback_share": Estimate.exact(fallbacks.share, METHOD, fallbacks.calls),
    }
    return Profile(
        origin="predicted",
        layers=profiles,
        network=network,
        parameters=parameters,
        blocks=(),
        coverage=Coverage(
            layers=len(profiles),
            layers_with_spectral_norm=sum(1 for p in profiles if p.spectral_norm is not None),
            parameters_reached=reached / trainable if trainable else 0.0,
            capture=f"mean-field theory on the meta device, {fallbacks.share:.1%} of the operators without a rule",
        ),
        outputs=outputs,
        gaps=tuple(Gap(reason.split(":")[0], f"{reason} ({n} times)") for reason, n in fallbacks.reasons.items()),
    )


def _layer(layer: Layer, bands: Bands, drawn: Drawn) -> LayerProfile:
    fan_in, fan_out = _fans(layer)
    node = LayerNode(
        index=layer.index,
        name=layer.name,
        kind=layer.kind,
        op=layer.op,
        path=layer.path,
        call=layer.call,
        inputs=tuple(sorted(layer.inputs)),
        shape=layer.shape,
        dtype=layer.dtype,
        parameters=layer.parameters,
        fan_in=fan_in,
        fan_out=fan_out,
    )
    table = layer.table
    if table is None:
        return LayerProfile(node)
    return LayerProfile(
        node, _activation(table, bands), _gradient(table, bands), spectral_norm(layer, drawn), rms_gain(layer)
    )


def _fans(layer: Layer) -> tuple[int | None, int | None]:
    """Inputs that one output sums over, and outputs that one input feeds; None without a weight matrix."""
    weight = getattr(layer.module, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() < 2 or isinstance(layer.module, nn.Embedding):
        return None, None
    taps = math.prod(weight.shape[2:])
    return weight.shape[1] * taps, weight.shape[0] * taps


def _activation(table: Table, bands: Bands) -> Moments:
    mean, second = table.average, table.second_moment
    spread = bands.activation(table)
    return Moments(
        mean=Estimate(mean, *_around(mean, table), METHOD),
        variance=banded(max(0.0, second - mean * mean), spread, FORWARD_CLOSURE, table.size),
        second_moment=banded(second, spread, FORWARD_CLOSURE, table.size),
        absolute_maximum=Estimate.unknown(METHOD),
        zero_fraction=_zero_fraction(table),
        nonfinite_fraction=Estimate.exact(0.0, METHOD),
    )


def _gradient(table: Table, bands: Bands) -> Moments | None:
    second = table.gradient_second_moment
    if second is None:
        return None
    estimate = banded(second, bands.gradient(table), BACKWARD_CLOSURE, table.size)
    root = math.sqrt(estimate.high)
    return Moments(
        mean=Estimate(0.0, -root, root, METHOD),
        variance=estimate,
        second_moment=estimate,
        absolute_maximum=Estimate.unknown(METHOD),
        zero_fraction=Estimate.unknown(METHOD),
        nonfinite_fraction=Estimate.exact(0.0, METHOD),
    )


def banded(wide: float, fluctuation: Fluctuation, closure: float, size: int) -> Estimate:
    """The typical value over initializations, and two standard deviations of its logarithm around it.

    Args:
        wide: the value at infinite width.
        fluctuation: of its logarithm at this width.
        closure: standard deviation of the logarithm that the theory itself leaves open.
        size: entries of the tensor.
    """
    if not math.isfinite(wide):
        return Estimate.exact(wide, METHOD, size)
    typical = wide * math.exp(fluctuation.shift)
    width = math.exp(min(2 * math.sqrt(fluctuation.total + closure**2), 600.0))
    return Estimate(typical, typical / width, typical * width, METHOD, size)


def _around(mean: float, table: Table) -> tuple[float, float]:
    """Two standard deviations of the average of all entries, from the average over all pairs."""
    deviation = math.sqrt(max(0.0, pair_average(table.second, table.axes) - mean**2))
    return mean - 2 * deviation, mean + 2 * deviation


def _zero_fraction(table: Table) -> Estimate:
    if table.lineage is None:
        return Estimate.exact(0.0 if table.second_moment else 1.0, METHOD)
    base = table.lineage.base
    is_zero = table.lineage.value == 0.0
    at_nodes = (is_zero[:, 1:] & is_zero[:, :-1]) @ grid()[1][1:]  # a single crossing has no measure
    return Estimate.exact(point_average(base.share @ at_nodes, base.table.axes), METHOD)


def _parameters(model: nn.Module, trace: Trace) -> tuple[ParameterProfile, ...]:
    out = []
    for name, parameter in model.named_parameters():
        drawn = trace.initial.find(parameter)
        table = trace.parameters.get(id(parameter))
        moment = table.gradient_second_moment if table is not None else None
        out.append(
            ParameterProfile(
                name=name,
                shape=tuple(parameter.shape),
                rms=Estimate.unknown("never initialized") if drawn is None else _known(math.sqrt(drawn.second_moment)),
                gradient_rms=None if moment is None else _known(math.sqrt(moment)),
                trainable=parameter.requires_grad,
            )
        )
    return tuple(out)


def gradient_norm(parameters: tuple[ParameterProfile, ...]) -> Estimate:
    """Over all parameters that are trained."""
    squares = [p.gradient_rms.value**2 * math.prod(p.shape) for p in parameters if p.trainable and p.gradient_rms]
    return _known(math.sqrt(sum(squares)))


def _gradient_gain(layers: list[Layer], outputs: tuple[int, ...], bands: Bands) -> Estimate:
    """Norm of the gradient where data enters, over its norm at the output: typical, and two standard deviations."""

    def squared(layer: Layer) -> float:
        moment = layer.table.gradient_second_moment if layer.table is not None else None
        return (moment or 0.0) * math.prod(layer.shape)

    end = sum(squared(layers[i]) for i in outputs)
    starts = [layer for layer in layers if squared(layer) and not any(squared(layers[i]) for i in layer.inputs)]
    if not end or not starts:
        return Estimate.unknown("no gradient path from the output to an input")
    parts = [(bands.gradient(layer.table), squared(layer)) for layer in starts if layer.table is not None]
    spread = combined([part for part, _ in parts], [share for _, share in parts])
    of_square = banded(sum(map(squared, starts)) / end, spread, BACKWARD_CLOSURE, len(starts))
    low, value, high = map(math.sqrt, (of_square.low, of_square.value, of_square.high))
    return replace(of_square, value=value, low=low, high=high)


def _output_variation(layers: list[Layer], outputs: tuple[int, ...]) -> Estimate:
    """Share of the output's second moment that differs between samples."""
    table = layers[outputs[0]].table if outputs else None
    if table is None or len(table.dims[0]) != 1 or not table.second_moment:
        return Estimate.unknown("needs a batch of two or more samples in the first dimension")
    first, *rest = table.axes
    mean = np.tensordot(average_pairs(first), table.second, (0, 0))
    return Estimate.exact(1.0 - agreeing_average(mean, rest) / table.second_moment, METHOD)


def _known(value: float) -> Estimate:
    return Estimate.unknown(METHOD) if math.isnan(value) else Estimate.exact(value, METHOD)
